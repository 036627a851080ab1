"""The texts that every system gets, laid into files, with their lengths in real tokens."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertfeat.checkpoints import read
from bertfeat.config import EncoderConfig
from bertfeat.tokenization import Tokenizer
from texts import COUNTS, MIXES, sts_pairs

SHORT_TOKENS = 16
SINGLES = 100
"""Texts that are encoded one by one in each round."""


@dataclass(frozen=True)
class Texts:
    """Some texts: the file they lie in, and how many tokens a model reads of each."""

    file: Path
    lengths: list[int]


@dataclass(frozen=True)
class Workload:
    """All that is encoded.

    Attributes:
        mixes: for throughput.
        single: short texts of one length, for latency.
        pairs: both sides of the STS pairs, one after the other, for quality.
        scores: what people gave the pairs.
    """

    config: EncoderConfig
    mixes: dict[str, Texts]
    single: Texts
    pairs: Texts
    scores: list[float]


class Writer:
    """Writes texts where the systems find them."""

    def __init__(self, model: Path, scratch: Path) -> None:
        folder = read(model)
        self.config = folder.config
        self._scratch = scratch
        self._tokenizer = Tokenizer.from_folder(folder.tokenizer_folder)
        self.limit = (folder.sentence and folder.sentence.max_seq_length) or (
            self._tokenizer.max_length or folder.config.max_position_embeddings
        )

    def lengths(self, texts: list[str]) -> list[int]:
        """Count what a model really reads: specials in, padding and cut-off tokens out."""
        found: Any = self._tokenizer.encode_batch(texts, max_length=self.limit)
        return [len(encoding.input_ids) for encoding in found]

    def write(self, name: str, texts: list[str]) -> Texts:
        """Write texts as JSON."""
        file = self._scratch / f"{name}.json"
        file.write_text(json.dumps(texts), "utf-8")
        return Texts(file, self.lengths(texts))


def prepare(model: Path, mixes: list[str], scale: float, scratch: Path) -> Workload:
    """Write the texts of these mixes, ``scale`` times as many as usual, and all for the rest."""
    writer = Writer(model, scratch)
    pairs, scores = sts_pairs()
    texts = [text for pair in pairs for text in pair]
    lengths = writer.lengths(texts)
    single = [t for t, n in zip(texts, lengths, strict=True) if n == SHORT_TOKENS] or texts[:1]
    return Workload(
        config=writer.config,
        mixes={
            mix: writer.write(mix, MIXES[mix]()[: max(1, round(COUNTS[mix] * scale))])
            for mix in mixes
        },
        single=writer.write("single", single[:SINGLES]),
        pairs=writer.write("pairs", texts),
        scores=scores,
    )
