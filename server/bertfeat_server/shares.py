"""How much each flow of requests has had: whoever has had least, by its weight, is next.

A flow is a caller's requests of one priority.  Its virtual time is the tokens that it was given,
divided by its weight; flows that wait are served in the order of their virtual times, so that each
gets its share of the tokens whatever it sends, and none starves.  Who comes after a pause begins at
the present of those who are served: it is next, and has saved nothing up.  (Start-time fair
queueing; Goyal, Vin and Cheng 1996.)
"""

from typing import NamedTuple

PRIORITIES = {"high": 4.0, "normal": 1.0, "low": 0.25}
"""Weights: high has four times the tokens of normal while both wait."""
SPARE_FLOWS = 1024
"""Flows without waiting requests that may lie about before they are swept out."""


class Flow(NamedTuple):
    """A caller's requests of one priority."""

    caller: bytes
    priority: str


class Shares:
    """The virtual times of all flows."""

    def __init__(self) -> None:
        self._now = 0.0
        self._times: dict[Flow, float] = {}

    def time_of(self, flow: Flow) -> float:
        """Return a flow's virtual time; while it waits it only grows."""
        return self._times.get(flow, 0.0)

    def enter(self, flow: Flow, present: float | None) -> float:
        """Let a flow wait that did not, and return its virtual time.

        Args:
            flow: it begins at the present, unless it has had more.
            present: virtual time of who is next where it waits, None if nobody is.
        """
        time = max(self.time_of(flow), self._now if present is None else present)
        if len(self._times) > SPARE_FLOWS:
            self._times = {f: t for f, t in self._times.items() if t > self._now}
        self._times[flow] = time
        return time

    def advance(self, present: float) -> None:
        """Note the virtual time of whoever is served next of all."""
        self._now = max(self._now, present)

    def charge(self, flow: Flow, start: float, tokens: int) -> None:
        """Note that a flow was next at a virtual time and was given tokens."""
        self._times[flow] = max(self.time_of(flow), start) + tokens / PRIORITIES[flow.priority]
