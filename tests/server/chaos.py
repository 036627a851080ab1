"""Mixed load on a server whose processes are killed and stopped, and what came of each call."""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress

import numpy as np
import psutil
import zmq
from fake_encoder import vector_of

from bertfeat_client import Client, ClientError, RowErrors
from bertfeat_client.protocol import Message, encode_message

TIMEOUT_S, GRACE_S = 20.0, 3.0
TEXTS = [
    "", " ", "a", "two words", "🙂👩‍👩‍👧", "\0", "a\0b", "שלום עולם", "مرحبا", "第三个", "x" * 5000,
    "word " * 300, "SECRET", "\ud800", "ﬁ ligature", "\u202eright to left",
]  # fmt: skip
REFUSED = {"SECRET", "\ud800"}


class Chaos:
    """Callers and killers around one server.

    Attributes:
        outcomes: how many calls ended how.
        wrong: what should not have come about, in words.
        memory: (seconds, MB) of the server's processes together.
    """

    def __init__(self, server, seed: int = 0) -> None:
        self.server, self.random = server, random.Random(seed)
        self.outcomes, self.wrong = Counter(), []
        self.memory: list[tuple[float, float]] = []
        self.pids: set[int] = set()
        self._ends = threading.Event()

    def run(self, seconds: float, callers: int) -> None:
        """Let callers and killers run, then let the callers end in peace."""
        began = time.monotonic()
        calling = [threading.Thread(target=self._call, args=(n,)) for n in range(callers)]
        others = [threading.Thread(target=run) for run in (self._vanish, self._talk_rubbish)]
        for thread in (*calling, *others):
            thread.start()
        next_strike = began + 1.0
        while (now := time.monotonic()) < began + seconds:
            self._note(now - began)
            if now >= next_strike:
                self._strike()
                next_strike = now + self.random.uniform(0.5, 3.0)
            time.sleep(0.1)
        self._ends.set()
        for thread in (*calling, *others):
            thread.join(TIMEOUT_S + GRACE_S + 30)
            if thread.is_alive():
                self.wrong.append("a call never ended")

    def slope(self, after_s: float) -> float:
        """Return how much memory grows after so long, in MB a minute."""
        times, sizes = np.array([(t, m) for t, m in self.memory if t >= after_s]).T
        return float(np.polyfit(times / 60, sizes, 1)[0])

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self.server.process.pid).children()

    def _note(self, seconds: float) -> None:
        sizes = []
        for process in self._children():
            with suppress(psutil.Error):
                self.pids.add(process.pid)
                sizes.append(process.memory_info().rss / 2**20)
        self.memory.append((seconds, sum(sizes)))

    def _strike(self) -> None:
        """Kill or stop one of the processes; the broker one time in six."""
        victims = self._children()
        with suppress(psutil.Error, IndexError):
            brokers = [p for p in victims if p.pid == self._broker(victims)]
            workers = [p for p in victims if p not in brokers]
            victim = self.random.choice(brokers if self.random.random() < 1 / 6 else workers)
            how = signal.SIGSTOP if self.random.random() < 0.2 else signal.SIGKILL
            os.kill(victim.pid, how if victim in workers else signal.SIGKILL)
            self.outcomes[f"{'broker' if victim in brokers else 'worker'} {how.name}"] += 1

    def _broker(self, processes) -> int:
        port = int(self.server.endpoint.rsplit(":", 1)[1])
        for process in processes:
            with suppress(psutil.Error):
                if port in {
                    c.laddr.port for c in process.net_connections() if c.status == "LISTEN"
                }:
                    return process.pid
        return -1

    def _call(self, number: int) -> None:
        rng = random.Random(number)
        with Client(self.server.endpoint, timeout_s=TIMEOUT_S) as client:
            while not self._ends.is_set():
                texts = [
                    rng.choice(TEXTS) + (f" {rng.random()}" if rng.random() < 0.5 else "")
                    for _ in range(rng.choice([1, 1, 1, 4, 20]))
                ]
                began = time.monotonic()
                self.outcomes[self._one(client, texts)] += 1
                if (took := time.monotonic() - began) > TIMEOUT_S + GRACE_S:
                    self.wrong.append(f"a call took {took:.1f} s")

    def _one(self, client: Client, texts: list[str]) -> str:
        errors = {}
        try:
            vectors = client.encode(texts)
        except RowErrors as error:
            vectors, errors = error.vectors, error.errors
        except ClientError as error:
            return type(error).__name__
        except Exception as error:
            self.wrong.append(f"a call raised {error!r}")
            return "wrong"
        for row, text in enumerate(texts):
            if row in errors:
                if text.split(" ")[0] not in REFUSED:
                    self.wrong.append(f"{text!r:.60} was refused: {errors[row]}")
            elif not np.array_equal(vectors[row], vector_of(text)):
                self.wrong.append(f"{text!r:.60} got another vector")
        return "ok" if not errors else "ok, some rows refused"

    def _vanish(self) -> None:
        """Ask for much and go away without reading."""
        with zmq.Context() as context:
            while not self._ends.wait(0.2):
                with context.socket(zmq.DEALER) as dealer:
                    dealer.linger = 0
                    dealer.connect(self.server.endpoint)
                    for number in range(5):
                        header = {"op": "encode", "id": str(number)}
                        dealer.send_multipart(encode_message(Message(header, ["gone"] * 500)))
                    self._ends.wait(0.05)

    def _talk_rubbish(self) -> None:
        """Send what is no message, and texts that no client would send."""
        good = [
            bytes(frame) for frame in encode_message(Message({"op": "encode", "id": "r"}, ["a"]))
        ]
        rubbish = [
            [b""], [b"BFT"], [b"BFT\x01{"], [b"BFT\x09{}"], [good[0], b'["\xff\xfe"]'],
            [good[0], b'["' + b"m" * 2**20 + b'"]'], [good[0]], [*good, b"more"],
            [good[0], b'[null, 1, {"text": 2}]'], [b"\x00" * 1000] * 20,
        ]  # fmt: skip
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(self.server.endpoint)
            while not self._ends.wait(0.05):
                with suppress(zmq.Again):
                    dealer.send_multipart(self.random.choice(rubbish), zmq.NOBLOCK)
                    while dealer.poll(0):
                        dealer.recv_multipart()
