"""The whole path on a real model: fetch, serve, encode, extract, index, search, stop.

Writes into ``demo-output`` in the current folder and touches nothing else.  Whatever ends it, the
server that it started ends too.
"""

import contextlib
import json
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
    print(run("bertfeat", "models", "fetch", MODEL), end="")

    step("Start a server on a free port")
    with server() as endpoint:
        step(f"Encode the {len(texts)} lines of {TEXTS.name} through the client")
        with Client(endpoint) as client:
            vectors = client.encode(texts)
        np.save(OUTPUT / "vectors.npy", vectors)
        print(f"{vectors.shape[0]} vectors of {vectors.shape[1]} numbers in {OUTPUT}/vectors.npy")

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
        search(index)
        step("Stop the server")
    print(f"\nDone. The results are in {OUTPUT.resolve()}")


def search(index: Path) -> None:
    """Search for the queries and print a table of their nearest neighbours."""
    asked = [word for query in QUERIES for word in ("--query", query)]
    found = run("bertfeat", "index", "search", index, *asked, "-k", "2", "--json", "--quiet")
    print(f"\n  {'query':34}score  nearest texts")
    for query, line in zip(QUERIES, found.splitlines(), strict=True):
        for label, hit in zip((query, ""), json.loads(line)["hits"], strict=True):
            print(f"  {label:34}{hit['score']:5.2f}  {hit['text']}")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run ``bertfeat-serve`` and give its endpoint; it has ended when the block is left."""
    command = ["bertfeat-serve", "start", "--port", "0", "--http-port", "0", "--model", MODEL]
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


def run(command: str, *arguments: str | Path) -> str:
    """Show and run one of the project's commands and return its data; its failure is ours."""
    words = [str(argument) for argument in arguments]
    print(f"$ {shlex.join([command, *words])}", flush=True)
    program = Path(sys.executable).with_name(command)
    done = subprocess.run([program, *words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command} ended with exit code {done.returncode}")
    return done.stdout


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
