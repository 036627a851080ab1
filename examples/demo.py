"""The whole path on a real model: fetch, serve, encode, extract, index, search, stop.

Writes into ``demo-output`` in the current folder and touches nothing else.  Whatever ends it, the
server that it started ends too.
"""

import contextlib
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from bertfeat_client import Client

MODEL = "all-MiniLM-L6-v2"
TEXTS = Path(__file__).with_name("sentences.txt")
OUTPUT = Path("demo-output")
STOP_S = 60
QUERIES = (
    "Fresh bread early in the morning",
    "Why is my connection late?",
    "a planet with two suns",
    "The cost of a loan goes up",
)


def main() -> None:
    """Run the demo."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    texts = TEXTS.read_text("utf-8").splitlines()
    OUTPUT.mkdir(exist_ok=True)

    step(f"Fetch the model {MODEL}, unless it is here already")
    run("bertfeat", "models", "fetch", MODEL)

    step("Start a server on a free port")
    with server() as endpoint:
        step(f"Encode the {len(texts)} lines of {TEXTS.name} through the client")
        encode(endpoint, texts)

        step("Extract the vectors of every token, last four layers")
        run(
            "extract_features", "--input-file", TEXTS, "--output-file", OUTPUT / "features.jsonl",
            "--layers", "-1,-2,-3,-4",
        )  # fmt: skip

        step("Build a FAISS index and search it")
        index = OUTPUT / "index"
        shutil.rmtree(index, ignore_errors=True)
        run("bertfeat", "index", "create", index)
        run("bertfeat", "index", "add", index, TEXTS)
        run("bertfeat", "index", "search", index, *QUERIES, "-k", "2")
        step("Stop the server")
    print(f"\nDone. The results are in {OUTPUT.resolve()}")


def encode(endpoint: str, texts: list[str]) -> None:
    """Encode through the client, save the vectors and print each query's nearest texts."""
    with Client(endpoint) as client:
        vectors = client.encode(texts)
        np.save(OUTPUT / "vectors.npy", vectors)
        print(f"{vectors.shape[0]} vectors of {vectors.shape[1]} numbers in {OUTPUT}/vectors.npy")
        scores = client.similarity(list(QUERIES), texts)
    print("\n  score  nearest text")
    for query, row in zip(QUERIES, scores, strict=True):
        print(f"         {query}")
        for best in np.argsort(-row)[:2]:
            print(f"  {row[best]:5.2f}    {texts[best]}")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run ``bertfeat-serve`` and give its endpoint; it has ended when the block is left."""
    command = ["bertfeat-serve", "start", "--port", "0", "--model", MODEL]
    print(f"$ {shlex.join(command)}", flush=True)
    process = subprocess.Popen(
        [Path(sys.executable).with_name(command[0]), *command[1:]],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("ready"):
            sys.exit("the server did not start; its words are above")
        print(line, end="", flush=True)
        yield line.split()[1]
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Let a server finish its requests; kill it if it takes longer than a minute."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(command: str, *arguments: str | Path) -> None:
    """Show and run one of the project's commands; its failure is the demo's."""
    words = [str(argument) for argument in arguments]
    print(f"$ {shlex.join([command, *words])}", flush=True)
    done = subprocess.run([Path(sys.executable).with_name(command), *words], check=False)
    if done.returncode:
        sys.exit(f"{command} ended with exit code {done.returncode}")


def step(text: str) -> None:
    """Print what comes next."""
    print(f"\n--- {text}", flush=True)


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
