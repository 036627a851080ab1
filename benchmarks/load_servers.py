"""Which servers are put under load, how they are started, and whether their answers are right."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from child import HERE, LOCAL_ONLY, Failed, one_line
from environments import python_of
from load_callers import PATH
from worker import pin

READY_S = 900
"""How long a server may take to start: Infinity encodes 64 long texts before it is ready."""
ANSWER_S = 300
STARTING = 503
OURS = ("start", "--model", "{name}={model}", "--http-port", "{port}", "--port", "0",
        "--threads", "{threads}", "--offline", "--quiet")  # fmt: skip
INFINITY = ("v2", "--model-id", "{model}", "--served-model-name", "{name}", "--port", "{port}",
            "--host", "127.0.0.1", "--url-prefix", "/v1", "--device", "cpu",
            "--log-level", "warning")  # fmt: skip


@dataclass(frozen=True)
class Server:
    """One row of the table.

    Attributes:
        name: as it is printed.
        program: beside the interpreter of its environment.
        arguments: with {model}, {name}, {port} and {threads} to be filled in.
        environment: the part of ``requirements/peers.txt`` it runs in; empty for our own.
        form: what ``exports.py`` makes of the model for it; empty for the model's own folder.
        note: what a reader should know of the setting.
        computes: whether it answers with the model's vectors.
    """

    name: str
    program: str
    arguments: tuple[str, ...]
    environment: str = ""
    form: str = ""
    note: str = ""
    computes: bool = True

    def command(self, **values: Any) -> list[str]:
        """Return the command line, of which the first word is the program's name."""
        return [self.program, *(argument.format(**values) for argument in self.arguments)]

    def shown(self, name: str, threads: int) -> str:
        """Return the command line with words for what differs from run to run."""
        words = self.command(name=name, threads=threads, model="MODEL", port="PORT")
        return f"OMP_NUM_THREADS={threads} {shlex.join(words)}"


def ours(precision: str) -> Server:
    """Return our row in a precision."""
    return Server(f"bertfeat {precision}", "bertfeat-serve", (*OURS, "--precision", precision))


def infinity(name: str, *arguments: str, form: str = "", note: str = "") -> Server:
    """Return a row of Infinity."""
    return Server(f"Infinity {name}", "infinity_emb", INFINITY + arguments, "infinity", form, note)


SERVERS = (
    ours("float32"),
    ours("auto"),
    ours("int8"),
    infinity(
        "torch float32", "--engine", "torch", "--dtype", "float32",
        note="its defaults: batches of up to 32, sorted by length, BetterTransformer",
    ),
    infinity(
        "ONNX int8", "--engine", "optimum", "--pooling-method", "mean", form="onnx",
        note="its defaults: batches of up to 32, sorted by length; dynamic quantization, "
        "optimized by ONNX Runtime at the start",
    ),
    Server(
        "nothing", "python", (str(Path("benchmarks", "load_callers.py")), "--at-once", "{port}"),
        note="a server that answers at once with made-up vectors: what the callers can do at most",
        computes=False,
    ),
)  # fmt: skip


class Running:
    """A server that is up.

    Attributes:
        port: where it listens.
        startup_s: from nothing to a first answer.
    """

    def __init__(self, server: Server, model: Path, name: str, threads: int) -> None:
        self.port, self._name = free_port(), name
        program, *arguments = server.command(
            model=model, name=name, port=self.port, threads=threads
        )
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [str(python_of(server.environment).with_name(program)), *arguments],
            stdout=self._log, stderr=self._log, cwd=HERE.parent, start_new_session=True,
            env=os.environ | LOCAL_ONLY | {"OMP_NUM_THREADS": str(threads)},
        )  # fmt: skip
        pin(threads, self._process.pid)
        try:
            self._wait(started + READY_S)
        except BaseException:
            self.end()
            raise
        self.startup_s = time.perf_counter() - started

    def ask(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of some texts.

        Raises:
            Failed: the reply is none, or not a vector for each text.
            OSError: it does not answer, or not yet.
        """
        body = json.dumps({"model": self._name, "input": list(texts)}).encode()
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{PATH}", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=ANSWER_S) as reply:
                rows = json.loads(reply.read())["data"]
        except urllib.error.HTTPError as error:
            if error.code == STARTING:
                raise
            raise Failed(one_line(f"{error}: {error.read().decode(errors='replace')}")) from error
        if [row["index"] for row in rows] != list(range(len(texts))):
            raise Failed(f"{len(rows)} vectors came for {len(texts)} texts, or not in their order")
        return np.array([row["embedding"] for row in rows], np.float32)

    def end(self) -> None:
        """End it and all its processes, gently first."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def _wait(self, until: float) -> None:
        while True:
            if (code := self._process.poll()) is not None:
                raise Failed(f"ended with code {code}: {self._last_words()}")
            with suppress(OSError):
                self.ask(["a first text"])
                return
            if time.perf_counter() > until:
                raise Failed(f"not ready after {READY_S} s: {self._last_words()}")
            time.sleep(0.1)

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return one_line(lines[-1] if lines else "without a word")


def quantized(form: Path, target: Path) -> Path:
    """Lay out a model in ONNX as Infinity takes it: an int8 model by the name that it prefers."""
    shutil.copytree(form, target, ignore=shutil.ignore_patterns("*.onnx"))
    (target / "onnx").mkdir(exist_ok=True)
    shutil.copy(form / "onnx" / "model_int8.onnx", target / "onnx" / "model_quantized.onnx")
    return target


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
