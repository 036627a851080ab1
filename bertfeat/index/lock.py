"""One writer at a time: a lock on a file that the system lifts when its holder dies."""

import os
from pathlib import Path

from bertfeat.errors import IndexStoreError

LOCK = "writer.lock"
HOLDER = "writer.pid"


class WriterLock:
    """The right to change an index; taken without waiting."""

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        self._folder = folder
        self._lock = FileLock(folder / LOCK, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return bool(self._lock.is_locked)

    def try_acquire(self) -> bool:
        """Take the lock unless another holds it; true where this object holds it afterwards."""
        from filelock import Timeout

        if self.held:
            return True
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        (self._folder / HOLDER).write_text(f"{os.getpid()}\n")
        return True

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            IndexStoreError: another process, or another object of this one, writes.
        """
        try:
            free = self.try_acquire()
        except OSError as error:
            raise IndexStoreError(f"{self._folder} cannot be written to: {error}") from error
        if not free:
            raise IndexStoreError(
                f"{self._folder} is being written by process {self._holder()}; one writer at a "
                "time: wait for it to end, or send the change through it (a server that has the "
                "index open takes client.index_add)"
            )

    def release(self) -> None:
        """Give the lock back; nothing where it is not held."""
        if self.held:
            (self._folder / HOLDER).unlink(missing_ok=True)
            self._lock.release()

    def _holder(self) -> str:
        try:
            return (self._folder / HOLDER).read_text().strip() or "of unknown number"
        except OSError:
            return "of unknown number"
