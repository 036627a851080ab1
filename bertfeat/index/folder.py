"""Making the folder of a new index, at once or not at all."""

import shutil
import sqlite3
import uuid
from pathlib import Path

from bertfeat.errors import IndexStoreError
from bertfeat.index.description import IndexDescription, write_description
from bertfeat.index.store import DocumentStore


def create_folder(folder: Path, description: IndexDescription) -> None:
    """Make the files of an empty index beside ``folder`` and give them its name.

    Raises:
        IndexStoreError: ``folder`` is there and not an empty folder, or cannot be written to.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise IndexStoreError(f"{folder} exists and is not an empty folder; choose another")
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.mkdir(parents=True)
        DocumentStore.create(partial)
        write_description(partial, description)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except (OSError, sqlite3.Error) as error:
        raise IndexStoreError(f"{folder} cannot be made: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
