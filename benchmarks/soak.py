"""Keep a server at a share of what it can for long, and say how its memory goes.

First 64 callers find out what the server can; then requests come at their own times at a share of
that, over ZeroMQ, and a tenth as many over HTTP.  The memory of every process is read all the
while; its slope is that of a line through what was read after the first tenth.
"""

import argparse
import asyncio
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bertfeat_client import AsyncClient
from bertfeat_server.load import Load, Report, run
from load_servers import free_port
from machine import describe
from serving import server

EVERY_S = 5.0
OF_HTTP = 0.1
ROLES = ("supervisor", "broker", "worker", "http")
"""The processes in the order in which they begin."""
PLACES = 256
"""Requests that may be under way at a time."""


class Memory:
    """The resident memory of processes over time, in MB."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = dict(zip(ROLES, processes, strict=False))
        self._read: list[tuple[float, ...]] = []

    def read(self) -> None:
        """Read it now; a process that is gone stops the run, as none should be."""
        sizes = [process.memory_info().rss / 2**20 for process in self._processes.values()]
        self._read.append((time.monotonic() / 3600, *sizes))

    def slopes(self) -> dict[str, dict[str, float]]:
        """Return each process's first, last and most MB, and its slope with twice its error."""
        hours, *columns = np.array(self._read[len(self._read) // 10 :]).T
        found = {}
        for name, sizes in zip(self._processes, columns, strict=True):
            (slope, _), covariance = np.polyfit(hours, sizes, 1, cov=True)
            found[name] = {
                "first_mb": sizes[0], "last_mb": sizes[-1], "most_mb": sizes.max(),
                "mb_per_hour": slope, "plus_minus": 2 * covariance[0, 0] ** 0.5,
            }  # fmt: skip
        return {
            name: {k: round(float(v), 2) for k, v in one.items()} for name, one in found.items()
        }


@contextmanager
def over_http(port: int, rate: float) -> Iterator[list[int]]:
    """Ask for one text after another over HTTP, so many a second; give the statuses."""
    statuses, ended = list[int](), threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not ended.wait(1 / rate):
            body = json.dumps({"inputs": f"text {len(statuses)}"})
            connection.request("POST", "/embed", body, {"content-type": "application/json"})
            with connection.getresponse() as response:
                response.read()
                statuses.append(response.status)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield statuses
    finally:
        ended.set()
        asking.join()


async def soak(endpoint: str, load: Load, memory: Memory) -> Report:
    """Put the load on a server and read its memory meanwhile."""
    async with AsyncClient(endpoint, timeout_s=60) as client:
        working = asyncio.create_task(run(client, load))
        while not working.done():
            memory.read()
            await asyncio.wait([working], timeout=EVERY_S)
        return await working


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the server, find its capacity, soak it and return what came of it."""
    port = free_port()
    words = Load(callers=64, seconds=20.0)
    with server("--http-port", str(port), *options.server) as endpoint:
        most = asyncio.run(soak(endpoint, words, Memory([]))).as_dict()["requests_per_s"]
        rate = options.share * most
        print(f"{most:.0f} requests/s at most, {rate:.0f} from now on", file=sys.stderr, flush=True)
        memory = Memory(
            sorted(psutil.Process().children(recursive=True), key=lambda child: child.pid)
        )
        load = replace(words, callers=PLACES, rate=rate, seconds=60 * options.minutes)
        with over_http(port, OF_HTTP * rate) as statuses:
            report = asyncio.run(soak(endpoint, load, memory)).as_dict()
    return {
        "machine": describe(), "minutes": options.minutes, "most_requests_per_s": most,
        "server": options.server, "native": report, "memory": memory.slopes(),
        "http": {str(status): statuses.count(status) for status in sorted(set(statuses))},
    }  # fmt: skip


def main() -> None:
    """Read the command line, measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--share", type=float, default=0.8, help="of what the server can")
    parser.add_argument("--output", type=Path)
    parser.add_argument("server", nargs="*", help="options of bertfeat-serve, behind --")
    options = parser.parse_args()
    found = json.dumps(measure(options), indent=1)
    print(found)
    if options.output is not None:
        options.output.write_text(found + "\n", "utf-8")


if __name__ == "__main__":
    main()
