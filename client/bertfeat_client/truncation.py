"""Telling the caller, once for each call, that texts were cut."""

import sys
import warnings
from types import FrameType

import numpy as np

from bertfeat_client.errors import TruncationWarning

PACKAGE = __name__.partition(".")[0]


class Truncation:
    """Counts the cut texts of one call."""

    def __init__(self) -> None:
        self.count, self.first = 0, -1

    @classmethod
    def tell(cls, truncated: np.ndarray) -> None:
        """Warn if any row of a call, bool (n,), was cut."""
        truncation = cls()
        truncation.add(truncated)
        truncation.warn()

    def add(self, truncated: np.ndarray, start: int = 0) -> None:
        """Take note of rows.

        Args:
            truncated: bool (n,).
            start: number of the first of these rows.
        """
        cut = np.flatnonzero(truncated)
        if len(cut) and not self.count:
            self.first = start + int(cut[0])
        self.count += len(cut)

    def warn(self) -> None:
        """Warn, if there is something to tell, at the caller's line."""
        if self.count:
            warnings.warn(
                f"{self.count} text(s) were longer than the model reads and were cut, the first "
                f"is texts[{self.first}]; truncate= chooses the part that is cut",
                TruncationWarning,
                stacklevel=_level_of_caller(),
            )


def _level_of_caller() -> int:
    """Return the ``stacklevel``, for the function that called, of the first foreign frame."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _package_of(frame) == PACKAGE:
        level, frame = level + 1, frame.f_back
    return level


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
