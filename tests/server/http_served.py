"""A server of tiny real models that speaks HTTP, for tests."""

import socket
from contextlib import contextmanager

import httpx

REAL = {"BERTFEAT_SERVE_ENCODER_FACTORY": "bertfeat_server.worker:load_encoder"}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def http_server(folder, *options, **environment):
    """Run a server and give it with a client of its HTTP side."""
    from conftest import Server

    port = free_port()
    server = Server(folder, "--port", "0", "--http-port", str(port), *options, **environment)
    server.wait_ready()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            yield server, http
    finally:
        assert server.end() == 0
