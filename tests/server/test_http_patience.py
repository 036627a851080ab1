"""Who sends or reads slowly over HTTP does not keep a connection for ever."""

import asyncio
import socket
from types import SimpleNamespace

import pytest
import uvicorn

from bertfeat_server.http.child import listen
from bertfeat_server.http.patience import HEAD_S, LEAST_BYTES, READ_S, Patience

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
SIZE = 50_000_000


class Connection:
    """What uvicorn knows of a connection, told by the test."""

    def __init__(self, unread=0, is_asked=False, is_idle=False):
        self.unread, self.aborted = unread, False
        self.transport = SimpleNamespace(
            get_write_buffer_size=lambda: self.unread, abort=lambda: setattr(self, "aborted", True)
        )
        self.cycle = SimpleNamespace(response_complete=False) if is_asked else None
        self.timeout_keep_alive_task = object() if is_idle else None


def test_only_who_keeps_the_server_waiting_is_ended():
    silent, asked, idle = Connection(), Connection(is_asked=True), Connection(is_idle=True)
    patience = Patience({silent, asked, idle})
    for now in (0.0, HEAD_S):
        patience.look(now)
        assert not silent.aborted
    patience.look(HEAD_S + 1)
    assert [silent.aborted, asked.aborted, idle.aborted] == [True, False, False]


@pytest.mark.parametrize(("step", "ends"), [(0, True), (1, True), (LEAST_BYTES, False)])
def test_an_answer_is_to_be_read_at_some_pace(step, ends):
    connection = Connection(unread=100 * LEAST_BYTES, is_idle=True)
    patience = Patience({connection})
    for second in range(int(READ_S) + 2):
        patience.look(float(second))
        connection.unread -= step if second % 20 == 0 else 0
    assert connection.aborted is ends


def test_time_begins_anew_with_what_is_waited_for():
    connection = Connection()
    patience = Patience({connection})
    patience.look(0.0)
    connection.unread = 5
    patience.look(HEAD_S - 1)
    connection.unread = 0
    patience.look(HEAD_S + READ_S - 2)
    patience.look(2 * HEAD_S + READ_S - 3)
    assert not connection.aborted


async def app(scope, receive, send):
    """Answer with more than a system's buffers hold."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    size = SIZE if scope["path"] == "/large" else 1
    await send({"type": "http.response.body", "body": b"x" * size})


async def opened(port, said):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    await writer.drain()
    return reader, writer


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


def test_a_real_web_server_ends_them_and_serves_the_others():
    async def run():
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        listener = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        port, connections = listener.getsockname()[1], server.server_state.connections
        large = HEAD.replace(b"/", b"/large", 1) + b"\r\n"
        made = [await opened(port, said) for said in (b"", HEAD, large, HEAD + b"\r\n")]
        [good] = made[3:]
        assert b"200 OK" in await good[0].readuntil(b"0\r\n\r\n")
        await until(
            lambda: (
                len(connections) == 4
                and any(one.transport.get_write_buffer_size() for one in connections)
            )
        )
        patience = Patience(connections)
        patience.look(0.0)
        patience.look(100.0)
        await until(lambda: len(connections) == 1)
        good[1].write(HEAD + b"\r\n")
        assert b"200 OK" in await good[0].readuntil(b"0\r\n\r\n")
        for _, writer in made:
            writer.close()
        server.should_exit = True
        await serving

    asyncio.run(asyncio.wait_for(run(), 30))


def test_connections_send_at_once_what_they_are_given():
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
