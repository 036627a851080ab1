"""Examples as the batches of a training, each a function of the seed and the step's number."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.errors import InputError
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.pretraining.build import DESCRIPTION, HELD_OUT, TRAIN
from bertfeat_tools.pretraining.examples import RecordFiles
from bertfeat_tools.pretraining.masking import Masking, mask_tokens
from bertfeat_tools.pretraining.rows import tokens_of
from bertfeat_tools.pretraining.sharing import share_rows
from bertfeat_tools.training.batches import Batch, ShuffledBatches


@dataclass(frozen=True)
class Corpus:
    """A folder of examples, made here or by google-research/bert.

    Attributes:
        folder: with ``*.tfrecord`` files; ``data.json`` and the tokenizer's files if made here.
        left_to_right: each token is predicted from those before it, unmasked.
        packed: short examples share a row of the batch.
    """

    folder: Path
    left_to_right: bool = False
    packed: bool = False

    @cached_property
    def description(self) -> dict[str, Any]:
        """What ``data.json`` says; empty for files of others."""
        path = self.folder / DESCRIPTION
        return json.loads(path.read_text("utf-8")) if path.is_file() else {}

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the examples were made with."""
        return Tokenizer.from_folder(self.folder)

    def part(self, kind: str) -> RecordFiles:
        """Return the training examples, or those held out."""
        files = sorted(self.folder.glob("*.tfrecord*"))
        held = [path for path in files if path.name.startswith(HELD_OUT)]
        return RecordFiles(held if kind == HELD_OUT else [p for p in files if p not in held])

    def batches(self, batch_size: int, seed: int, kind: str = TRAIN) -> ShuffledBatches:
        """Return the batches of a part.

        Raises:
            InputError: it has no example.
        """
        records = self.part(kind)
        if not len(records):
            raise InputError(
                f"{self.folder} has no {kind} examples; bertfeat pretrain data makes them"
            )
        return ShuffledBatches(
            len(records), batch_size, seed, self.collate(records, batch_size, seed)
        )

    def collate(self, records: RecordFiles, batch_size: int, seed: int) -> "Collate":
        """Return what makes a batch of the numbers of its examples."""
        masking = None
        options = self.description.get("options", {})
        if options.get("dynamic"):
            known = {f.name: options["masking"][f.name] for f in fields(Masking)}
            masking = DynamicMasking(Masking(**known), self.tokenizer)
        sharing = batch_size if self.packed else 0
        return Collate(records, masking, seed, self.left_to_right, sharing)


@dataclass(frozen=True)
class DynamicMasking:
    """Masks an example when it is read, anew each time."""

    masking: Masking
    tokenizer: Tokenizer

    def __call__(
        self, example: dict[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the example with masked ids, places and weights."""
        length = int(example["input_mask"].sum())
        words = [None if word < 0 else int(word) for word in example["word_ids"][:length]]
        ids = example["input_ids"][:length].tolist()
        seen, chosen, labels = mask_tokens(ids, words, self.masking, self._tokens, rng)
        found = dict(example)
        found["input_ids"] = found["input_ids"].copy()
        found["input_ids"][:length] = seen
        for name, values in (("masked_lm_positions", chosen), ("masked_lm_ids", labels)):
            found[name] = np.zeros(self.masking.most, np.int32)
            found[name][: len(values)] = values
        found["masked_lm_weights"] = (np.arange(self.masking.most) < len(chosen)).astype(np.float32)
        return found

    @cached_property
    def _tokens(self) -> Any:
        return tokens_of(self.tokenizer)


@dataclass(frozen=True)
class Collate:
    """Makes a batch of examples, cut to the longest of them or packed (see ``share_rows``).

    Attributes:
        records: the examples by number.
        masking: masks them when they are read; None = they are masked.
        seed: of that.
        left_to_right: predict each token from those before it.
        sharing: examples of a packed batch; 0 = a row for each.
    """

    records: RecordFiles | Sequence[dict[str, np.ndarray]]
    masking: DynamicMasking | None
    seed: int
    left_to_right: bool = False
    sharing: int = 0

    def __call__(self, numbers: np.ndarray) -> Batch:
        """Return the encoder's inputs with ``masked_positions``, ``masked_ids`` and weights."""
        examples = [self.records[int(number)] for number in numbers]
        if self.masking is not None:
            # the order of an epoch is its own, so these numbers differ from epoch to epoch
            rng = np.random.default_rng((self.seed, *map(int, numbers[:8])))
            examples = [self.masking(example, rng) for example in examples]
        stacked = {name: np.stack([e[name] for e in examples]) for name in examples[0]}
        length = stacked["input_ids"].shape[1]
        if not self.sharing:
            longest = int(stacked["input_mask"].sum(axis=1).max())
            length = min(-(-longest // 8) * 8, length)
        batch = {
            "input_ids": stacked["input_ids"][:, :length],
            "attention_mask": stacked["input_mask"][:, :length],
            "token_type_ids": stacked["segment_ids"][:, :length],
            "masked_positions": stacked["masked_lm_positions"],
            "masked_ids": stacked["masked_lm_ids"],
            "masked_weights": stacked["masked_lm_weights"],
        }
        if "next_sentence_labels" in stacked:
            batch["next_sentence_labels"] = stacked["next_sentence_labels"][:, 0]
        batch = next_tokens(batch) if self.left_to_right else batch
        return share_rows(batch, self.sharing) if self.sharing else batch


def next_tokens(batch: Batch) -> Batch:
    """Turn a masked batch into one that predicts each token from those before it.

    So the model "LTR & No NSP" of the paper is trained (Devlin et al. 2019, 5.1).
    """
    ids, mask = batch["input_ids"].copy(), batch["attention_mask"]
    rows, columns = np.nonzero(batch["masked_weights"])
    ids[rows, batch["masked_positions"][rows, columns]] = batch["masked_ids"][rows, columns]
    places = np.arange(ids.shape[1] - 1, dtype=np.int32)
    return {
        **batch,
        "input_ids": ids,
        "masked_positions": np.tile(places, (len(ids), 1)),
        "masked_ids": ids[:, 1:],
        "masked_weights": mask[:, 1:].astype(np.float32),
    }


@dataclass(frozen=True)
class Phases:
    """Batches of one corpus for so many steps, then of the next (say length 128, then 512).

    Attributes:
        parts: (batches, steps).
    """

    parts: Sequence[tuple[ShuffledBatches, int]]

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0 over all phases."""
        for batches, steps in self.parts[:-1]:
            if step < steps:
                return batches(step)
            step -= steps
        return self.parts[-1][0](step)
