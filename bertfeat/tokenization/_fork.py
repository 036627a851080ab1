"""Keep forked children from the Rust library's thread pool, which a fork does not copy.

The library notices the fork itself, but older releases then print a warning, some on stdout.
It reads ``TOKENIZERS_PARALLELISM`` at each call, so the variable is set around the fork only and
stays set in the child. A value chosen by the user is left alone.
"""

import os

_VARIABLE = "TOKENIZERS_PARALLELISM"
_set_here = False


def _before_fork() -> None:
    global _set_here
    if _VARIABLE not in os.environ:
        os.environ[_VARIABLE] = "false"
        _set_here = True


def _after_fork_in_parent() -> None:
    global _set_here
    if _set_here:
        os.environ.pop(_VARIABLE, None)
        _set_here = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
