"""Fixtures of the library's tests."""

import json

import pytest


@pytest.fixture
def make(tmp_path):
    """Write a folder: ``make(tokens, {"file.json": content})``, contents as JSON or bytes."""

    def write(tokens=None, files=None):
        if tokens is not None:
            text = "".join(f"{token}\n" for token in tokens)
            (tmp_path / "vocab.txt").write_bytes(text.encode("utf-8"))
        for name, value in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        return tmp_path

    return write
