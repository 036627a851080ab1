"""The places that children of a supervisor fill, and when an empty one is filled again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bertfeat_server.processes import Child

LONGEST_DELAY_S = 30.0
GOODBYE_S = 3.0


@dataclass(eq=False)
class Slot:
    """A place that a child fills, and after its end another.

    Attributes:
        role: see :mod:`bertfeat_server.child`.
        settings: what each child of this place is told first.
        child: who fills it.
        ready: whether that one has done its preparations.
        failures: children that ended since one was ready.
        reason: what the last child said before it failed.
        due: when the next child is to be started.
        restarts: children that ended.
        leaving: whether the child is the last one; it is killed if it has not ended when due.
    """

    role: str
    settings: Mapping[str, Any]
    child: Child | None = None
    ready: bool = False
    failures: int = 0
    reason: str = ""
    due: float = field(default=0.0)
    restarts: int = 0
    leaving: bool = False

    def leave(self, now: float) -> None:
        """Let the child end, the last one of this place."""
        assert self.child is not None
        self.leaving, self.due = True, now + GOODBYE_S
        self.child.release()


def restart_delay_s(failures: int) -> float:
    """Return how long to wait after so many ends in a row: not at all, then ever longer."""
    if failures <= 1:
        return 0.0
    return float(min(LONGEST_DELAY_S, 0.5 * 2.0 ** min(failures - 2, 10)))
