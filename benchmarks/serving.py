"""What the server costs beside its engine: the broker alone, its share at load, short beside long.

broker  one-text requests per second through the broker with an engine that computes nothing, beside
        a bare ROUTER that sends each message back, in turns
share   texts per second of 64 callers with one text each, as a share of the engine's own on the
        same texts without a server
bulk    the 99th percentile of one-text requests, alone and while one caller sends a bulk job
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from bertfeat import Encoder
from bertfeat_client import AsyncClient
from bertfeat_client.protocol import Message, encode_message
from bertfeat_server.ask import ask
from machine import describe
from texts import mixed_texts

WINDOW = 512
"""Messages of the load generator that are under way."""
CALLERS = 64


@contextmanager
def server(*options: str, **environment: str) -> Iterator[str]:
    """Run ``bertfeat-serve start`` and give its endpoint."""
    command = [sys.executable, "-c", "from bertfeat_server.cli import main; main()", "start"]
    fixed = ["--port", "0", "--http-port", "0", "--quiet", "--max-queue-tokens", "100000000"]
    paths = {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [*command, *fixed, *options], stdout=subprocess.PIPE, text=True,
        env=os.environ | paths | environment,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        process.send_signal(signal.SIGTERM)


def echo(sender: Any) -> None:
    """Send every message back to whom it came from, for ever."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        sender.send(f"tcp://127.0.0.1:{port}")
        while True:
            router.send_multipart(router.recv_multipart(copy=False), copy=False)


def pace(endpoint: str, seconds: float) -> float:
    """Return one-text requests per second that are answered."""
    header = {"op": "encode", "timeout_ms": 60000, "model": None, "options": {}}
    messages = [
        encode_message(Message(header | {"id": str(number)}, [f"a short text {number}"]))
        for number in range(4 * WINDOW)
    ]
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(endpoint)
        sent = got = 0
        begin, end, counted = time.perf_counter(), 0.0, 0
        while (now := time.perf_counter()) < begin + seconds + 0.5:
            if now > begin + 0.5 and not end:
                end, counted = now, got
            while sent - got < WINDOW:
                dealer.send_multipart(messages[sent % len(messages)])
                sent += 1
            if b'"status":"error"' in (answer := dealer.recv_multipart()[0]):
                sys.exit(f"a request was refused: {answer!r}")
            got += 1
        return (got - counted) / (time.perf_counter() - end)


def measure_broker(seconds: float, rounds: int) -> dict[str, Any]:
    """Measure the broker and the echo in turns."""
    ours, bare = [], []
    receiver, sender = multiprocessing.Pipe(False)
    process = multiprocessing.get_context("spawn").Process(target=echo, args=(sender,), daemon=True)
    process.start()
    echoing = receiver.recv()
    with server(
        "--max-batch-tokens", "4096", BERTFEAT_SERVE_ENCODER_FACTORY="nothing:make"
    ) as endpoint:
        for _ in range(rounds):
            ours.append(pace(endpoint, seconds))
            bare.append(pace(echoing, seconds))
    process.kill()
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    return {"requests_per_s": spread(ours), "echo_per_s": spread(bare), "ratio": spread(ratios)}


def measure_share(model: str, precision: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Measure 64 callers with one text each, and the engine alone, in turns."""
    texts = [text[:400] for text in mixed_texts()[:1024]]
    encoder = Encoder.load(model, precision=precision)
    served, alone = [], []
    with server("--model", model, "--precision", precision) as endpoint:
        for _ in range(rounds):
            served.append(asyncio.run(callers(endpoint, texts, seconds)))
            alone.append(_offline(encoder, texts, seconds))
    ratios = [a / b for a, b in zip(served, alone, strict=True)]
    return {"served_texts_per_s": spread(served), "engine_texts_per_s": spread(alone),
            "share": spread(ratios)}  # fmt: skip


async def callers(endpoint: str, texts: list[str], seconds: float) -> float:
    """Return the texts per second of ``CALLERS`` callers with one text each."""
    done, end = 0, time.perf_counter() + seconds
    async with AsyncClient(endpoint) as client:

        async def call(first: int) -> None:
            nonlocal done
            number = first
            while time.perf_counter() < end:
                await client.encode([texts[number % len(texts)]], return_info=True)
                number += CALLERS
                done += 1

        await asyncio.gather(*(call(first) for first in range(CALLERS)))
    return done / seconds


def _offline(encoder: Encoder, texts: list[str], seconds: float) -> float:
    done, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + seconds:
        encoder.encode(texts, return_info=True)
        done += len(texts)
    return done / (time.perf_counter() - begin)


def measure_bulk(model: str, precision: str, bulk: int, seconds: float) -> dict[str, Any]:
    """Measure one-text requests alone, and while another caller has sent a bulk job."""
    texts = [text[:400] for text in mixed_texts()[:2048]]
    with server("--model", model, "--precision", precision) as endpoint:
        idle = asyncio.run(latencies(endpoint, texts[0], seconds))
        job = subprocess.Popen(
            [sys.executable, __file__, "--job", endpoint, "--texts", str(bulk)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        with job:
            assert job.stdout is not None
            job.stdout.readline()
            time.sleep(1.0)
            before = _batches(endpoint)
            time.sleep(3.0)  # nothing but the bulk job
            count, spent_s = _batches(endpoint) - before
            busy = asyncio.run(latencies(endpoint, texts[0], seconds))
            done = job.poll() is None
            job.kill()
    batch_ms = round(1000 * spent_s / count, 1)
    return {"idle_ms": percentiles(idle), "beside_bulk_ms": percentiles(busy),
            "bulk_batch_ms": batch_ms, "bulk_outlasted_it": done}  # fmt: skip


def _batches(endpoint: str) -> np.ndarray:
    """Return how many batches were computed, and their seconds."""
    told = ask(endpoint, "status")["histograms"]["batch_seconds"]
    return np.array([sum(told["counts"]), told["sum"]])


async def latencies(endpoint: str, text: str, seconds: float) -> list[float]:
    """Return the milliseconds of one caller's requests of one text."""
    spans, end = [], time.perf_counter() + seconds
    async with AsyncClient(endpoint) as client:
        await client.info()
        while (began := time.perf_counter()) < end:
            await client.encode([f"{text} {len(spans)}"], return_info=True)
            spans.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.02)
    return spans


def send_job(endpoint: str, count: int) -> None:
    """Be the caller with the bulk job."""
    from bertfeat_client import Client

    source = [text[:400] for text in mixed_texts()]
    with Client(endpoint, timeout_s=3600) as client:
        client.info()
        print("begun", flush=True)
        client.encode([f"{source[n % len(source)]} {n}" for n in range(count)], return_info=True)


def percentiles(values: list[float]) -> dict[str, float]:
    """Return the 50th, 90th and 99th percentile."""
    found = np.percentile(values, [50, 90, 99])
    return {name: round(float(v), 2) for name, v in zip(("p50", "p90", "p99"), found, strict=True)}


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and most."""
    ordered = [float(f"{value:.4g}") for value in sorted(values)]
    return {"median": ordered[len(ordered) // 2], "least": ordered[0], "most": ordered[-1]}


def main() -> None:
    """Read the command line, measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("broker", "share", "bulk"), action="append")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=50_000, help="of the bulk job")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.job:
        send_job(o.job, o.texts)
        return
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "broker": lambda: measure_broker(o.seconds, o.rounds),
        "share": lambda: measure_share(o.model, o.precision, o.seconds, o.rounds),
        "bulk": lambda: measure_bulk(o.model, o.precision, o.texts, o.seconds),
    }
    found = {"machine": describe()} | {
        name: measure() for name, measure in measures.items() if name in (o.only or measures)
    }
    print(json.dumps(found, indent=1))
    if o.output is not None:
        o.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
