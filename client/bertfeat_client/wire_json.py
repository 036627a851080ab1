"""JSON as it travels: UTF-8, without blanks, written and read as fast as the process can."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Json:
    """Writes and reads JSON, lone surrogates included.

    Attributes:
        dumps, loads: a faster library's, where a process has one; what they refuse is left to the
            standard library.
    """

    dumps: Callable[[Any], bytes] | None = None
    loads: Callable[[memoryview], Any] | None = None
    _write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    @classmethod
    def write(cls, value: Any) -> bytes:
        """Return a value as UTF-8."""
        if cls.dumps is not None:
            with suppress(TypeError):
                return cls.dumps(value)
        return cls._write(value).encode("utf-8", "surrogatepass")

    @classmethod
    def read(cls, buffer: memoryview) -> Any:
        """Return what a buffer holds.

        Raises:
            ValueError, RecursionError: it is not JSON in UTF-8.
        """
        if cls.loads is not None:
            with suppress(ValueError):
                return cls.loads(buffer)
        return json.loads(str(buffer, "utf-8", "surrogatepass"))
