"""The broker's mind on a stage: callers and workers played by the test, time chosen by it."""

import numpy as np

from bertfeat_client.protocol import Message, decode_message, encode_message
from bertfeat_server.access.admission import Admission
from bertfeat_server.config import ServerConfig
from bertfeat_server.dispatch import Dispatcher

TOKEN = "secret"

WORK = {"tokens": 6, "places": 8, "non_finite": 1}


class Stage:
    """A dispatcher with everybody who talks to it played by the test."""

    def __init__(self, keys=None, **config):
        self.now = 100.0
        config = {"model": ("m=/m",), "max_batch_tokens": 64} | config
        admission = Admission(TOKEN, keys)
        self.dispatcher = Dispatcher(ServerConfig(**config), admission, "ipc://back", self.now)
        self.batches, self.replies = [], []

    def client(self, op="encode", items=("a",), name="1", caller=b"c", **header):
        items = list(items) if items is not None else None
        self.frames(encode_message(Message({"op": op, "id": name} | header, items)), caller)
        return self

    def frames(self, frames, caller=b"c"):
        self.dispatcher.from_client(caller, frames, self.now)
        self.pump()

    def worker(self, identity="w1", items=None, arrays=None, **header):
        message = Message(header, items, arrays or {})
        self.dispatcher.from_worker(identity, encode_message(message), self.now)
        self.pump()
        return self

    def hello(self, identity="w1", model="m", ops=("encode", "tokens", "score"), **header):
        said = {"op": "hello", "state": "ready", "token": TOKEN, "pid": 7, "model": model}
        return self.worker(identity, **said | {"ops": ops, "info": {"max_seq_len": 8}} | header)

    def pump(self, seconds=0.0):
        self.now += seconds
        self.dispatcher.tick(self.now)
        while self.dispatcher.outbox:
            to_client, identity, frames = self.dispatcher.outbox.popleft()
            message = decode_message([bytes(frame) for frame in frames])
            (self.replies if to_client else self.batches).append((identity.decode(), message))
        return self

    def serve(self, index=-1):
        """Let the worker of a batch answer it: each text's vector is its length."""
        identity, batch = self.batches[index]
        vectors = np.array([[len(item or "")] for item in batch.items], np.float32)
        return self.worker(
            identity,
            arrays={"vectors": vectors},
            op="result",
            id=batch.header["id"],
            info={},
            work=WORK,
        )

    def lose(self, index=-1):
        identity, _ = self.batches[index]
        self.dispatcher.worker_gone(identity, "was killed", self.now)
        return self.pump()

    def play(self, trouble=lambda stage, index: None):
        """Serve batch after batch until none is left, unless ``trouble`` has dealt with it."""
        index = 0
        while index < len(self.batches):
            if not trouble(self, index):
                self.serve(index)
            index += 1
        return self

    @property
    def reply(self):
        [(_, message)] = self.replies
        return message

    @property
    def error(self):
        return self.reply.header["error"]
