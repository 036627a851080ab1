"""An encoder of the simplest kind: a text's vector is made of its checksum and its length.

Texts may ask for trouble: ``SLEEP 0.2``, ``RAISE`` (a surprise), ``CRASH`` (the process is gone),
``HANG-ONCE FILE`` (for ever, while there is that file), ``NAN`` (a vector that is withheld),
``SECRET`` is refused.
"""

import os
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from bertfeat.errors import InputError, ModelNotFound, NonFiniteError, ParityError
from bertfeat.features.runtime import Work
from bertfeat.features.tokens import TokenFeatures

DIM = 8


def text_of(item) -> str:
    return item if isinstance(item, str) else " ||| ".join(map(str, item))


def vector_of(item, scale: float = 1.0) -> np.ndarray:
    text = text_of(item)
    seed = zlib.crc32(text.encode("utf-8"))
    return np.array([seed % (7 + i) for i in range(DIM - 1)] + [len(text)], np.float32) * scale


def refuse(unknown: dict) -> None:
    if unknown:
        raise InputError(f"unknown option(s) {', '.join(unknown)}")


@dataclass
class Info:
    num_tokens: np.ndarray
    truncated: np.ndarray
    errors: dict = field(default_factory=dict)


class FakeTokenizer:
    def encode_batch(self, items):
        return [InputError("expected a string") if item is None else self._one(item)
                for item in items]  # fmt: skip

    def _one(self, item):
        words = text_of(item).split()
        return SimpleNamespace(
            input_ids=[len(word) for word in words], tokens=words, offsets=[(0, 1)] * len(words),
            special_tokens_mask=[0] * len(words),
        )  # fmt: skip


class FakeEncoder:
    tokenizer = FakeTokenizer()
    precision, precision_reason, model_hash = "float32", "asked for", "0" * 64
    dim, max_seq_len, num_layers, rerank_method = DIM, 32, 3, "cosine"

    def __init__(self):
        modules = SimpleNamespace(similarity="cosine", prompts={"query": "q "})
        self.runtime = SimpleNamespace(modules=modules, work=Work())

    def encode(self, items, return_info=False, scale=1.0, pooling=None, **unknown):
        refuse(unknown)
        if not isinstance(scale, int | float):
            raise InputError(f"scale={scale!r} is not a number")
        info = Info(np.zeros(len(items), np.int32), np.zeros(len(items), bool))
        vectors = np.zeros((len(items), DIM), np.float32)
        for row, item in enumerate(items):
            try:
                self._obey(item, row)
                vectors[row] = vector_of(item, scale)
                info.num_tokens[row] = len(text_of(item).split()) + 2
                info.truncated[row] = info.num_tokens[row] > self.max_seq_len
            except (InputError, NonFiniteError) as error:
                info.errors[row] = error
        self.runtime.work.tokens += int(info.num_tokens.sum())
        self.runtime.work.places += len(items) * self.max_seq_len
        if pooling == "none":
            return [
                np.repeat(v[None], n, 0) for v, n in zip(vectors, info.num_tokens, strict=True)
            ], info
        return vectors if not return_info else (vectors, info)

    def extract(self, items, layers=-1, return_errors=False, **unknown):
        refuse(unknown)
        for item in items:
            if item is None:
                error = InputError("expected a string, got NoneType")
                yield TokenFeatures([], [], [], np.zeros((2, 0, DIM), np.float32), 0, error=error)
                continue
            words = text_of(item).split()
            tokens = ["[CLS]", *words, "[SEP]"]
            ids = [None, *range(len(words)), None]
            vectors = np.stack([np.outer(np.arange(len(tokens)), vector_of(item))] * 2)
            offsets = [(0, len(token)) for token in tokens]
            yield TokenFeatures(tokens, offsets, ids, vectors.astype(np.float32), len(tokens))

    def score(self, items, raw=False):
        return np.array([vector_of(item or "")[0] for item in items], np.float32).reshape(-1, 1)

    def _obey(self, item, row):
        if item is None:
            raise InputError(f"texts[{row}]: expected a string, got NoneType")
        word, _, rest = text_of(item).partition(" ")
        if word == "SLEEP":
            time.sleep(float(rest.split()[0]))
        elif word == "CRASH":
            os._exit(66)
        elif word == "HANG-ONCE" and Path(rest).exists():
            Path(rest).unlink()
            time.sleep(3600)
        elif word == "RAISE":
            raise RuntimeError("a surprise")
        elif word == "NAN":
            raise NonFiniteError(f"texts[{row}]: its vector is not finite")
        elif word == "SECRET":
            raise InputError(f"texts[{row}]: this text is refused")


def make(source, checked=False, **options):
    if checked and source == "unfaithful":
        raise ParityError("float32 vectors have a cosine of 0.5")
    if source == "missing":
        raise ModelNotFound("no model 'missing' anywhere; tried: nothing")
    if source == "slow":
        time.sleep(3600)
    if source == "crashing":
        os._exit(67)
    encoder = FakeEncoder()
    if source == "slow-load":
        time.sleep(1.0)
    if source == "other":
        encoder.model_hash = "1" * 64
    return encoder
