"""Fixtures of the server's tests: a real server around a fake encoder, and a bare client."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
import zmq

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from bertfeat_client.protocol import Message, decode_message, encode_message  # noqa: E402
from bertfeat_server.ask import ask  # noqa: E402

PATIENCE_S = 60


class BareClient:
    """Speaks the protocol over a DEALER socket and adds nothing."""

    def __init__(self, context: zmq.Context, endpoint: str) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)

    def send(self, op: str, items=None, name: str | None = None, **header) -> str:
        name = name or uuid.uuid4().hex
        self.socket.send_multipart(encode_message(Message({"op": op, "id": name} | header, items)))
        return name

    def receive(self, timeout_s: float = PATIENCE_S) -> Message:
        assert self.socket.poll(int(timeout_s * 1000)), f"no reply within {timeout_s} s"
        return decode_message(self.socket.recv_multipart())

    def ask(self, op: str, items=None, **header) -> Message:
        name = self.send(op, items, **header)
        reply = self.receive()
        assert reply.header["id"] == name
        return reply


class Server:
    """``bertfeat-serve start`` in a process of its own."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.endpoint, self.joined = "", []
        self.environment = (
            os.environ
            | {
                "XDG_RUNTIME_DIR": str(folder),
                "PYTHONPATH": str(HERE),
                "BERTFEAT_SERVE_ENCODER_FACTORY": "fake_encoder:make",
                "BERTFEAT_SERVE_HTTP_PORT": "0",
            }
            | environment
        )
        self.errors = folder / "stderr.txt"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serve_main", "start", *options],
                stdout=subprocess.PIPE, stderr=errors, text=True, env=self.environment,
            )  # fmt: skip

    def wait_ready(self) -> "Server":
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            self.end(signal.SIGKILL)
            pytest.fail(f"{line!r}, stderr: {self.errors.read_text()}")
        self.endpoint = line.split()[1]
        return self

    def command(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "serve_main", *arguments],
            capture_output=True, text=True, env=self.environment, timeout=PATIENCE_S,
        )  # fmt: skip

    def status(self) -> dict:
        return ask(self.endpoint, "status", timeout_s=PATIENCE_S)

    def join(self, *options: str) -> subprocess.Popen:
        """Start ``bertfeat-serve worker`` and wait until it is ready."""
        joined = subprocess.Popen(
            [sys.executable, "-m", "serve_main", "worker", *options],
            stdout=subprocess.PIPE, text=True, env=self.environment,
        )  # fmt: skip
        self.joined.append(joined)
        assert joined.stdout.readline().startswith("ready ")
        return joined

    def pids(self) -> list[int]:
        """The processes below the supervisor."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def end(self, how: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        for joined in self.joined:
            with joined:
                joined.wait(PATIENCE_S)
        return code


@pytest.fixture
def start(tmp_path):
    """A factory of running servers; all end with the test."""
    servers = []

    def begin(*options: str, ready: bool = True, **environment: str) -> Server:
        where = () if "--endpoint" in options or "--port" in options else (
            "--endpoint", f"ipc://{tmp_path}/front-{len(servers)}.ipc"
        )  # fmt: skip
        server = Server(tmp_path, *options, *where, **environment)
        servers.append(server)
        return server.wait_ready() if ready else server

    yield begin
    for server in servers:
        for joined in server.joined:
            joined.kill()
        server.end(signal.SIGKILL)


@pytest.fixture
def client(zmq_context):
    """A factory of bare clients."""
    clients = []

    def connect(endpoint: str) -> BareClient:
        clients.append(BareClient(zmq_context, endpoint))
        return clients[-1]

    yield connect
    for made in clients:
        made.socket.close()


def wait_for(condition, timeout_s: float = PATIENCE_S) -> None:
    """Wait until a condition about another process holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(name="wait_for")
def wait_for_fixture():
    return wait_for
