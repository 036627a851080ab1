"""Fine-tune an encoder on multiple choice, and write a folder that chooses."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.tokenization import Encoding, Tokenizer
from bertfeat_tools.finetuning.classify import HEADS, ClassifyOptions
from bertfeat_tools.finetuning.fine_tune import Lesson, fine_tune, named
from bertfeat_tools.finetuning.questions import Questions
from bertfeat_tools.training.batches import Batch, padded
from bertfeat_tools.training.encoder import make_bert, open_folder
from bertfeat_tools.training.texts import computed, encoder_inputs, tokenized

if TYPE_CHECKING:
    from bertfeat_tools.finetuning.chooser import Chooser

Choices = list[Encoding]


def train_choice(
    options: ClassifyOptions, train: Questions, dev: Questions, folder: Path, progress: Any = None
) -> dict[str, Any]:
    """Fine-tune on multiple choice; an interrupted run in the same folder goes on.

    Args:
        options: how; ``problem`` stays the one of classes, a class being a choice's number.
        train: what it learns from.
        dev: what is scored after each epoch.
        folder: gets ``training/`` and, at the end, ``model/``.
        progress: called after each update.

    Returns:
        The accuracy of the weights that are kept, and seconds of training.

    Raises:
        InputError: a question cannot be tokenized.
    """
    options.start()
    from bertfeat_tools.finetuning.chooser import Chooser

    source, tokenizer = open_folder(options.model)
    bert = make_bert(source, heads=HEADS, num_labels=1, precision=options.precision)
    limit = min(options.max_seq_len, source.config.max_position_embeddings)
    rows, held_out = (tokenized_choices(part, tokenizer, limit) for part in (train, dev))
    answers = np.array(train.answers, np.int32)
    lesson = Lesson(
        Chooser(bert, options.problem),
        len(train),
        partial(collated_choices, rows, answers, tokenizer.pad_id),
        ChoiceJudge(held_out, dev.answers, tokenizer.pad_id),
        facts={"train": train.digest, "dev": dev.digest},
        config={
            "architectures": ["BertForMultipleChoice"], **named(["LABEL_0"]), "max_seq_len": limit,
        },
        lengths=np.array([max(map(len, choices)) for choices in rows]),
    )  # fmt: skip
    return fine_tune(options, lesson, (source, tokenizer), folder, progress)


def tokenized_choices(questions: Questions, tokenizer: Tokenizer, limit: int) -> list[Choices]:
    """Tokenize each question's pairs of text and choice.

    Raises:
        InputError: one cannot be tokenized.
    """
    return [
        tokenized([(text, choice) for choice in choices], tokenizer, limit)
        for text, choices in questions.items
    ]


def collated_choices(
    encodings: Sequence[Choices], answers: np.ndarray, pad_id: int, rows: np.ndarray
) -> Batch:
    """Return the batch of some questions: a row for each choice."""
    chosen = [encodings[row] for row in rows]
    firsts = np.cumsum([0, *map(len, chosen)])
    places = [list(range(firsts[n], firsts[n + 1])) for n in range(len(chosen))]
    flat = [encoding for choices in chosen for encoding in choices]
    return {**encoder_inputs(flat, pad_id), "choices": padded(places, -1, multiple=1),
            "targets": answers[rows]}  # fmt: skip


@dataclass(frozen=True)
class ChoiceJudge:
    """Scores a chooser on held-out questions."""

    encodings: Sequence[Choices]
    answers: Sequence[int]
    pad_id: int

    def __call__(self, model: "Chooser") -> dict[str, float]:
        """Return the share of questions whose right choice has the highest score."""
        flat = [encoding for choices in self.encodings for encoding in choices]
        scores = np.stack(computed(flat, self.pad_id, model.computing("logits")))[:, 0]
        parts = np.split(scores, np.cumsum([len(choices) for choices in self.encodings])[:-1])
        right = [part.argmax() == answer for part, answer in zip(parts, self.answers, strict=True)]
        return {"accuracy": float(np.mean(right))}
