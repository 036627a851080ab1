"""How faithful a precision is: its vectors' cosine to those of float32, on texts kept here.

The figure decides what ``auto`` may choose and is told to whoever asks for int8.  It is measured
once for each model and cached.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints.cache import cache_folder
from bertfeat.errors import ParityError
from bertfeat.features.options import EncodeOptions
from bertfeat.features.pooled import encode_items
from bertfeat.features.runtime import Runtime

TEXTS = (
    "The train was late.",
    "Our express arrived an hour behind time, and nobody on the platform seemed surprised.",
    "How do I reset my password?",
    "Interest rates were left unchanged on Thursday; the bank's governor said that inflation, at "
    "3.4 per cent, remained too high, though it had fallen for the fifth month in a row.",
    "def mean(values): return sum(values) / len(values)",
    "yes",
    "The patient was given 20 mg twice daily and showed no sign of improvement after two weeks.",
    "Never in the history of this small town had so many umbrellas been forgotten in one place, "
    "and the lost property office, which was one room above the bakery, had to rent a barn. The "
    "mayor proposed an auction; the children wanted a parade; in the end it rained, and everybody "
    "came, took the nearest umbrella and went home.",
    "Terrible service, the soup was cold and the waiter rude. Would not go again!!!",
    "A quantum computer holds its state in qubits, which decohere when they are disturbed.",
    "Please send 3 copies to 14 Harbour Street, flat 2b, before 31 December 2024.",
    "Who wrote the opera that was first performed here in 1791?",
    "Der Zug hatte Verspätung, und niemand wunderte sich darüber.",
    "Le chat dort sur le canapé depuis ce matin.",
    "今天的火车又晚点了。",
    "Un perro pequeño cruzó la calle sin mirar.",
    "Bees dance to tell each other where the flowers are.",
    "In the third quarter the company sold 1.2 million units, 8% more than a year before, but its "
    "margin shrank as freight became dearer.",
    "lol that's so funny, can't stop laughing",
    "The committee shall publish its findings within ninety days of the end of the inquiry.",
    "Mix the flour with two eggs, a pinch of salt and enough milk to make a smooth batter, let it "
    "rest for half an hour, then fry thin pancakes on both sides in a little butter.",
    "Mount Erebus is the southernmost active volcano.",
    "Cheap flights from London to Lisbon in May",
    "She could not remember whether she had locked the door, so she walked all the way back.",
)


@dataclass(frozen=True)
class Fidelity:
    """Cosines of vectors in some precision to those in float32.

    Attributes:
        mean_cosine: of all texts.
        worst_cosine: the least of any.
        texts: how many were compared.
    """

    mean_cosine: float
    worst_cosine: float
    texts: int

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Fidelity":
        """Read what :meth:`to_dict` gave."""
        return cls(float(raw["mean_cosine"]), float(raw["worst_cosine"]), int(raw["texts"]))

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON holds them."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"cosine to float32 {self.mean_cosine:.5f} on average, {self.worst_cosine:.4f} at worst"
        )


def measure(runtime: Runtime, exact: Runtime) -> Fidelity:
    """Compare the vectors that two loads of one model give, each in its own pooling.

    Args:
        runtime: in the precision in question.
        exact: in float32.
    """
    options = EncodeOptions(prompt="")
    ours, theirs = (np.array(encode_items(r, TEXTS, options)[0]) for r in (runtime, exact))
    lengths = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    cosines = (ours * theirs).sum(axis=-1) / np.maximum(lengths, 1e-12)
    return Fidelity(float(cosines.mean()), float(cosines.min()), len(TEXTS))


LEAST_COSINE = {"float32": 0.9999, "float16": 0.999, "bfloat16": 0.999}
"""What a faithful conversion gives at worst; other precisions: ``LEAST_INT8``."""
LEAST_INT8 = 0.95


def check(runtime: Runtime, exact: Runtime, precision: str) -> Fidelity:
    """Measure a load of a model and refuse one whose vectors are not those of its weights.

    Args:
        runtime: in some precision.
        exact: the same weights in float32.
        precision: the first one's.

    Raises:
        ParityError: a text's vectors have a cosine below what the precision allows, or are no
            numbers.
    """
    found, least = measure(runtime, exact), LEAST_COSINE.get(precision, LEAST_INT8)
    if not found.worst_cosine >= least:
        raise ParityError(
            f"{precision} vectors have a cosine of {found.worst_cosine:.4f} to those in float32 "
            f"at worst, expected at least {least}; the conversion or the engine is not right"
        )
    return found


def remembered(key: str, measured: Callable[[], Fidelity]) -> Fidelity:
    """Return what is kept under a key; if nothing is, measure and keep it."""
    found = cached_fidelity(key)
    if found is None:
        found = measured()
        cache_fidelity(key, found)
    return found


def cached_fidelity(key: str) -> Fidelity | None:
    """Return what :func:`cache_fidelity` kept under a key, if anything."""
    try:
        return Fidelity.from_dict(json.loads(_place(key).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cache_fidelity(key: str, fidelity: Fidelity) -> None:
    """Keep a measurement in the user's cache; one that cannot be written is not kept."""
    path = _place(key)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(fidelity.to_dict()), encoding="utf-8")
        partial.replace(path)


def _place(key: str) -> Path:
    return cache_folder() / "fidelity" / f"{key}.json"
