"""What is served under a name, and what was asked to change."""

import math
from dataclasses import dataclass

LOADED, LOADING, UNLOADED = "loaded", "loading", "unloaded"
RUNNING, DONE, FAILED = "running", "done", "failed"


@dataclass
class Model:
    """One name that callers use.

    Attributes:
        name: the name.
        source: folder, or the name to resolve.
        task: whether it is a trained head.
        label: what its workers go by.
        state: whether it has workers; one that is loading gets them for waiting requests.
        until: when it has failed, if it is not loaded by then.
    """

    name: str
    source: str
    task: bool
    label: str
    state: str = LOADED
    until: float = math.inf


@dataclass
class Change:
    """What was asked for by a command, and what became of it.

    Attributes:
        op: ``load``, ``swap`` or ``unload``.
        model: as it is to be.
        state: running, done or failed.
        reason: why it failed.
    """

    op: str
    model: Model
    state: str = RUNNING
    reason: str = ""
