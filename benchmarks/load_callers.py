"""Callers over HTTP, each asking again as soon as it has its answer, in a process of their own.

``python benchmarks/load_callers.py TEXTS`` reads the texts (a JSON list), then answers each line
(JSON: a turn) with what came of it. ``python benchmarks/load_callers.py --at-once PORT`` is a
server that computes nothing: under the same load it shows what the callers themselves cost.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from worker import answering

PATH = "/v1/embeddings"
BUFFER = 2**24
FEWEST = 3
AT_MOST = 5
"""Times as long as asked for."""
SIZE = 384
"""Numbers in a vector of the server that computes nothing."""


@dataclass
class Turn:
    """A server under the load of some callers for some seconds.

    Attributes:
        begun: callers that have had a reply; what is measured begins after all have.
        spans: when each request that was answered rightly began and ended.
        errors: replies that were no answer, by status.
    """

    port: int
    model: str
    callers: int
    texts: int
    seconds: float
    warm_up_s: float
    ended: bool = False
    begun: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    spans: list[tuple[float, float]] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    async def run(self, texts: list[str]) -> dict[str, Any]:
        """Let the callers ask and return what was answered between two moments under full load."""
        requests = self._requests(texts)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.callers):
                group.create_task(self._call(requests))
            for _ in range(self.callers):
                await self.begun.acquire()
            await asyncio.sleep(self.warm_up_s)
            begin, cpu = time.perf_counter(), time.process_time()
            await self._enough(begin)
            end, cpu = time.perf_counter(), time.process_time() - cpu
            self.ended = True
        return self._report(begin, end) | {"callers_cores": cpu / (end - begin)}

    async def _enough(self, begin: float) -> None:
        """Wait for the end: a few answers for each caller, where the seconds do not bring them."""
        before, wanted = len(self.spans), FEWEST * self.callers
        await asyncio.sleep(self.seconds)
        while len(self.spans) - before < wanted:
            if time.perf_counter() - begin > AT_MOST * self.seconds:
                return
            await asyncio.sleep(0.05)

    async def _call(self, requests: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=BUFFER)
        first = True
        while not self.ended:
            began = time.perf_counter()
            writer.write(next(requests))
            status, body = await receive(reader)
            if status == "200" and body.count(b'"embedding":') == self.texts:
                self.spans.append((began, time.perf_counter()))
            else:
                self.errors[status] = self.errors.get(status, 0) + 1
                await asyncio.sleep(0.01)  # no tight loop
            if first:
                self.begun.release()
                first = False
        writer.close()

    def _report(self, begin: float, end: float) -> dict[str, Any]:
        """Count requests that reach over the beginning or the end by the share that lies within."""
        shares = [(min(b, end) - max(a, begin)) / (b - a) for a, b in self.spans if b > begin]
        within = [1000 * (b - a) for a, b in self.spans if begin < b <= end]
        rate = self.texts * sum(share for share in shares if share > 0) / (end - begin)
        return {"texts_per_s": rate, "milliseconds": within, "errors": self.errors}

    def _requests(self, texts: list[str]) -> Iterator[bytes]:
        """Give requests with ever other texts, so that none is asked for twice at a time."""
        whole = len(texts) - len(texts) % self.texts
        return cycle(
            [
                request({"model": self.model, "input": texts[start : start + self.texts]})
                for start in range(0, whole, self.texts)
            ]
        )


def request(body: dict[str, Any]) -> bytes:
    """Return a request as it goes over the wire."""
    content = json.dumps(body).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def receive(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read a request or reply; return the second word of its first line, and its content."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if line)
    return first.split()[1], await reader.readexactly(int(fields["content-length"]))


async def at_once(port: int) -> None:
    """Serve made-up vectors for ever."""
    vector = [random.gauss(0, 0.05) for _ in range(SIZE)]
    replies: dict[int, bytes] = {}

    def reply(n: int) -> bytes:
        rows = [{"object": "embedding", "index": i, "embedding": vector} for i in range(n)]
        content = json.dumps({"object": "list", "data": rows}, separators=(",", ":")).encode()
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                n = len(json.loads((await receive(reader))[1])["input"])
                if n not in replies:
                    replies[n] = reply(n)
                writer.write(replies[n])
        except asyncio.IncompleteReadError:  # the caller has gone
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port, limit=BUFFER) as server:
        await server.serve_forever()


def main(file: str) -> None:
    """Obey lines until there are no more."""
    answer = answering()
    texts = json.loads(Path(file).read_text("utf-8"))
    answer({})
    for line in sys.stdin:
        try:
            answer(asyncio.run(Turn(**json.loads(line)).run(texts)))
        except ExceptionGroup as group:  # the server broke off
            error = group.exceptions[0]
            answer({"error": f"under load: {type(error).__name__}: {error}"})


if __name__ == "__main__":
    if sys.argv[1] == "--at-once":
        asyncio.run(at_once(int(sys.argv[2])))
    else:
        main(sys.argv[1])
