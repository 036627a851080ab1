"""Fine-tune an encoder on answers in contexts, and write a folder that answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.errors import InputError, listed
from bertfeat.tasks.span_answers import Answers, answers_of
from bertfeat.tasks.span_windows import Passage, SpanOptions, Window, passages
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.finetuning.fine_tune import FineTuning, Lesson, fine_tune
from bertfeat_tools.finetuning.span_examples import SpanExamples
from bertfeat_tools.finetuning.span_files import write_answers
from bertfeat_tools.scoring.null_odds import best_thresholds
from bertfeat_tools.scoring.span import score_spans
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.encoder import make_bert, open_folder
from bertfeat_tools.training.texts import computed, encoder_inputs

if TYPE_CHECKING:
    from bertfeat_tools.finetuning.span_model import SpanModel


@dataclass(frozen=True, kw_only=True)
class SpanTraining(FineTuning):
    """How a reader of answers is trained; the defaults are run_squad.py's.

    Attributes:
        spans: windows and candidates.
        batch_size: windows.
    """

    spans: SpanOptions = SpanOptions()
    metric: str = "f1"


def train_spans(
    options: SpanTraining, train: SpanExamples, dev: SpanExamples, folder: Path,
    progress: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """Fine-tune a reader of answers; an interrupted run in the same folder goes on.

    Args:
        options: how.
        train: what it learns from.
        dev: what is scored after each epoch.
        folder: gets ``training/`` and, at the end, ``model/`` and the answers to `dev`.
        progress: called after each update.

    Returns:
        The scores of the weights that are kept, and seconds of training.

    Raises:
        InputError: questions cannot be tokenized, or an answer has no token; all are listed.
    """
    options.start()
    from bertfeat_tools.finetuning.span_model import SpanModel

    source, tokenizer = open_folder(options.model)
    texts = tokenized(train, tokenizer, options.spans)
    windows, wanted = targets(train, texts)
    judge = Judge(dev, tokenized(dev, tokenizer, options.spans), options.spans, tokenizer.pad_id)
    model = SpanModel(make_bert(source, heads=("span",), precision=options.precision))

    def collate(rows: np.ndarray) -> Batch:
        inputs = encoder_inputs([windows[row] for row in rows], tokenizer.pad_id)
        return {**inputs, "targets": wanted[rows]}

    lesson = Lesson(
        model, len(windows), collate, judge,
        facts={"train": train.digest, "dev": dev.digest},
        config={"architectures": ["BertForQuestionAnswering"], "span": asdict(options.spans)},
        lengths=np.array([len(window) for window in windows]),
    )  # fmt: skip
    scores = fine_tune(options, lesson, (source, tokenizer), folder, progress)
    ids, found = [row.id for row in dev.rows], judge.answers(model)
    write_answers(folder, ids, found, has_null=options.spans.has_null)
    best = thresholds(dev, found) if options.spans.has_null else {}
    return {**scores, **best}


def thresholds(examples: SpanExamples, found: Sequence[Answers]) -> dict[str, float]:
    """Return the best thresholds of null odds on examples; see :func:`best_thresholds`."""
    answers = {
        row.id: next((one.text for one in own.candidates if one.text), "")
        for row, own in zip(examples.rows, found, strict=True)
    }
    odds = {row.id: own.null_odds for row, own in zip(examples.rows, found, strict=True)}
    return best_thresholds(examples.questions, answers, odds)


def tokenized(examples: SpanExamples, tokenizer: Tokenizer, options: SpanOptions) -> list[Passage]:
    """Tokenize all questions.

    Raises:
        InputError: some cannot be; all are listed.
    """
    found = passages(examples.pairs, tokenizer, options)
    bad = [
        f"{row.id}: {one}"
        for row, one in zip(examples.rows, found, strict=True)
        if isinstance(one, InputError)
    ]
    if bad:
        raise InputError(f"{examples.path}: {len(bad)} question(s) are bad:{listed(bad)}")
    return [one for one in found if isinstance(one, Passage)]


def targets(examples: SpanExamples, texts: Sequence[Passage]) -> tuple[list[Window], np.ndarray]:
    """Return all windows, and the places of the answer's first and last token, int32 (n, 2).

    They are 0, [CLS], where the window has not the whole answer (run_squad.py).

    Raises:
        InputError: answers have no token; all are listed.
    """
    windows: list[Window] = []
    places: list[tuple[int, int]] = []
    bad = []
    for row, text in zip(examples.rows, texts, strict=True):
        found = None
        if row.start is not None:
            found = text.tokens_of(row.start, row.start + len(row.answers[0]))
            if found is None:
                bad.append(f"{row.id}: {row.answers[0]!r:.40}")
        windows += text.windows
        places += [_places(window, found) for window in text.windows]
    if bad:
        raise InputError(f"{examples.path}: {len(bad)} answer(s) without a token:{listed(bad)}")
    return windows, np.array(places, np.int32)


def _places(window: Window, found: tuple[int, int] | None) -> tuple[int, int]:
    if found is None or found[0] < window.start or found[1] >= window.stop:
        return 0, 0
    shift = window.first - window.start
    return found[0] + shift, found[1] + shift


@dataclass(frozen=True)
class Judge:
    """Scores a reader of answers on held-out questions."""

    examples: SpanExamples
    texts: Sequence[Passage]
    options: SpanOptions
    pad_id: int

    def __call__(self, model: "SpanModel") -> dict[str, float]:
        """Return exact match and F1 as SQuAD's scripts count them."""
        found = self.answers(model)
        answers = {r.id: a.best.text for r, a in zip(self.examples.rows, found, strict=True)}
        scores = score_spans(self.examples.questions, answers, self.examples.has_null)
        return {name: float(value) for name, value in scores.items()}

    def answers(self, model: "SpanModel") -> list[Answers]:
        """Return what is found for each question."""
        windows = [window for text in self.texts for window in text.windows]
        logits = computed(windows, self.pad_id, model.computing("logits"))
        each = (row[: len(window)] for row, window in zip(logits, windows, strict=True))
        return [
            answers_of(text, [next(each) for _ in text.windows], self.options)
            for text in self.texts
        ]
