"""The broker process: two ROUTER sockets and a loop, which knows no message from another."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import zmq

from bertfeat.errors import ConfigError
from bertfeat_client.errors import ClientError
from bertfeat_server.access.admission import Admission
from bertfeat_server.access.encryption import Encryption
from bertfeat_server.access.zap import DOMAIN, Zap
from bertfeat_server.config import ServerConfig
from bertfeat_server.dispatch import Dispatcher
from bertfeat_server.handshakes import Handshakes
from bertfeat_server.ipc import is_taken, remove_socket
from bertfeat_server.logs import set_up
from bertfeat_server.parent import Parent
from bertfeat_server.post import Post

BURST = 128
"""Messages read from one socket before the others get their turn."""
LINGER_MS = 2000
HANDSHAKE_MS = 10_000
HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 15_000, 60_000
MOST_UNREAD = 8
"""Largest messages that may lie unread by one client."""
NOBLOCK = int(zmq.NOBLOCK)
COMMANDS = "inproc://commands"
Socket = zmq.Socket[bytes]
logger = logging.getLogger(__name__)


class BindError(ClientError):
    """An endpoint cannot be listened on."""


class Broker:
    """Moves frames between the sockets and a dispatcher.

    Args:
        config: the server's settings.
        admission: says who may ask for what.
        frontend: endpoint for clients; ``tcp://HOST:*`` takes a free port.
        backend: endpoint for workers, likewise.
        door: a further endpoint for clients, never encrypted, or none.
        encryption: of the frontend.
        restarts: brokers of this server that ended before.

    Raises:
        BindError: an endpoint is taken or cannot be.
    """

    def __init__(
        self,
        config: ServerConfig,
        admission: Admission,
        frontend: str,
        backend: str,
        door: str = "",
        encryption: Encryption | None = None,
        restarts: int = 0,
    ) -> None:
        self._context = zmq.Context()
        try:
            # what is a little over the limit is answered, what is far over cut off
            self._clients = self._router(2 * config.max_message_bytes)
            self._handshakes = Handshakes(self._clients)
            known = encryption.clients if encryption is not None else None
            self._zap = Zap(self._context, config.max_connections, known.knows if known else None)
            if door:
                _bind(self._clients, door)
            self._clients.zap_domain = DOMAIN
            if encryption is not None:
                encryption.put_on(self._clients)
            _bind(self._clients, frontend)
            self.frontend = _bound(self._clients)
            self._workers = self._router(-1)
            _bind(self._workers, backend)
            self.backend = _bound(self._workers)
            if config.worker_endpoint:
                _bind(self._workers, config.worker_endpoint)
        except BindError:
            self._context.destroy(linger=0)
            raise
        self._commands = self._context.socket(zmq.PULL)
        self._commands.bind(COMMANDS)
        most_bytes = MOST_UNREAD * config.max_message_bytes
        self._post = Post(self._clients, self._workers, most_bytes)
        self._dispatcher = Dispatcher(config, admission, self.backend, time.monotonic())
        self._dispatcher.tally.restarts["broker"] = restarts
        self._going = True

    def run(self, parent: Parent) -> None:
        """Serve until told to stop; then answer everybody and close."""
        poller = zmq.Poller()
        for source in (
            self._clients,
            self._workers,
            self._commands,
            self._handshakes.socket,
            self._zap.socket,
        ):
            poller.register(source, zmq.POLLIN)
        while self._going:
            ready = dict(poller.poll(self._wait_ms()))
            self._receive(ready)
            self._dispatcher.tick(time.monotonic())
            # whoever has asked by now is told that the server stops
            self._going &= not self._dispatcher.drained or self._clients in ready
            if not self._going:
                self._dispatcher.dismiss()
            self._send()
            while self._dispatcher.control.events:
                parent.tell(**self._dispatcher.control.events.popleft())
        self._context.destroy(LINGER_MS)

    def command(self, command: Mapping[str, Any]) -> None:
        """Pass the supervisor's command into the loop; called from another thread."""
        with suppress(zmq.ZMQError), self._context.socket(zmq.PUSH) as sender:
            sender.connect(COMMANDS)
            sender.send_json(dict(command))

    def take_models(self, told: Mapping[str, Any]) -> None:
        """Serve the models that the supervisor says from now on."""
        config = ServerConfig.from_dict(told["config"])
        self._dispatcher.config = config
        self._dispatcher.catalogue.take(told["fleet"], told["failed"], time.monotonic())

    def _router(self, max_bytes: int) -> Socket:
        router = self._context.socket(zmq.ROUTER)
        router.maxmsgsize = max_bytes
        router.router_mandatory = True
        router.router_handover = True
        router.linger = LINGER_MS
        router.tcp_keepalive = 1
        router.handshake_ivl = HANDSHAKE_MS
        router.heartbeat_ivl, router.heartbeat_timeout = HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
        return router

    def _wait_ms(self) -> int:
        if self._dispatcher.drained:
            return 0
        wait_s = self._dispatcher.next_event(time.monotonic()) - time.monotonic()
        return int(min(max(0, wait_s * 1000 + 1), self._post.wait_ms))

    def _receive(self, ready: Mapping[Any, int]) -> None:
        if self._handshakes.socket in ready or self._zap.socket in ready:
            now = time.monotonic()
            self._handshakes.read(now)
            self._zap.answer(self._handshakes.connections, now)
            self._dispatcher.tally.connections = self._handshakes.connections
        if self._commands in ready:
            self._obey(self._commands.recv_json())
        if self._workers in ready:
            self._receive_results()
        if self._clients in ready:
            for frames in _burst(self._clients, copy=True):
                if self._post.hears(frames[0]):
                    self._dispatcher.from_client(frames[0], frames[1:], time.monotonic())

    def _receive_results(self) -> None:
        for frames in _burst(self._workers, copy=False):
            name = bytes(frames[0]).decode("latin-1")
            try:
                self._dispatcher.from_worker(name, frames[1:], time.monotonic())
            except Exception:
                logger.exception("a message of worker %s could not be taken", name)

    def _obey(self, command: Any) -> None:
        if command["command"] == "gone":
            self._dispatcher.tally.restarts[command["role"]] += 1
            self._dispatcher.worker_gone(command["identity"], command["reason"], time.monotonic())
        elif command["command"] == "drain":
            self._dispatcher.drain(time.monotonic())
        elif command["command"] == "models":
            self.take_models(command)
        elif command["command"] == "reload":
            self._reload(ServerConfig.from_dict(command["config"]))
        elif command["command"] == "end":
            self._going = False

    def _reload(self, config: ServerConfig) -> None:
        set_up(config)
        try:
            self._dispatcher.reload(config)
        except ConfigError as error:
            logger.error("the keys stay as they are: %s", error)

    def _send(self) -> None:
        now = time.monotonic()
        for to_client, identity in self._post.send(self._dispatcher.outbox, now):
            if to_client:
                self._dispatcher.caller_gone(identity)
            else:
                name = identity.decode("latin-1")
                self._dispatcher.worker_gone(name, "cannot be reached", now)


def _burst(router: Socket, copy: bool) -> Iterator[list[Any]]:
    """Give what has arrived; small messages are faster copied, results had better not be."""
    for _ in range(BURST):
        try:
            yield router.recv_multipart(NOBLOCK, copy)
        except zmq.Again:
            return


def _bind(router: Socket, endpoint: str) -> None:
    if is_taken(endpoint):
        raise BindError(f"cannot listen on {endpoint}: another process does")
    router.ipv6 = "[" in endpoint
    try:
        router.bind(endpoint)
    except zmq.ZMQError as error:
        raise BindError(f"cannot listen on {endpoint}: {error.strerror}") from error


def _bound(router: Socket) -> str:
    return str(router.get_string(zmq.LAST_ENDPOINT)).rstrip("\0")


def main(parent: Parent) -> None:
    """Run the broker of a supervisor."""
    settings = parent.settings
    config = ServerConfig.from_dict(settings["config"])
    set_up(config)
    ends = {name: settings[name] for name in ("frontend", "backend", "door")}
    try:
        broker = Broker(
            config,
            Admission.of(config, settings["token"]),
            encryption=Encryption.of(config),
            restarts=settings["restarts"],
            **ends,
        )
    except (BindError, ConfigError) as error:
        parent.tell("failed", reason=str(error))
        return
    broker.take_models({"failed": {}} | settings)
    parent.watch(broker.command, lambda: broker.command({"command": "end"}))
    parent.tell("listening", frontend=broker.frontend, backend=broker.backend)
    broker.run(parent)
    for endpoint in ends.values():  # nobody else does it where the supervisor was killed
        remove_socket(endpoint)
