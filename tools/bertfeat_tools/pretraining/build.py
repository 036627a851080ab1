"""From documents to shards of examples, in any number of processes with the same bytes.

Documents are put into blocks; each block has random numbers of its own, made of the seed and the
block's number, and is worked on by one process.  Blocks are written in their order, round the
shards.  A corpus larger than memory streams: few blocks are in memory at a time.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.checkpoints.folder_files import new_folder, write_json
from bertfeat.engine.backend import load_keras
from bertfeat.errors import InputError
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.pretraining.documents import Document
from bertfeat_tools.pretraining.pairs import rows_of
from bertfeat_tools.pretraining.rows import (
    KINDS,
    BuildOptions,
    make_example,
    pieces_of,
    tokens_of,
)
from bertfeat_tools.pretraining.shards import Shards

BLOCK_CHARACTERS = 2_000_000
DESCRIPTION = "data.json"
TRAIN, HELD_OUT = "train", "held-out"


def build(
    documents: Iterable[Document], tokenizer: Path, options: BuildOptions, target: Path,
    processes: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Write the examples of documents as a new folder, whole or not at all.

    Args:
        documents: read once, in order.
        tokenizer: folder of the vocabulary; copied into the target.
        options: how.
        target: must not exist.
        processes: that work beside each other.

    Returns:
        What is in ``data.json``: options, statistics, hashes.

    Raises:
        InputError: there is no document, or a single one where random pairs need others.
        CheckpointError: the target exists or cannot be written.
    """
    load_keras()  # TensorFlow writes the records
    with new_folder(target) as folder:
        Tokenizer.from_folder(tokenizer).save(folder)
        work = partial(examples_of, tokenizer=str(tokenizer), options=options)
        counts: dict[str, Counter[str]] = {TRAIN: Counter(), HELD_OUT: Counter()}
        with ExitStack() as stack:
            shards = {
                kind: stack.enter_context(Shards(folder, kind, number, options.compress))
                for kind, number in ((TRAIN, options.shards), (HELD_OUT, 1))
            }
            for kind, rows, count in _worked(work, blocks(documents, options), processes):
                shards[kind].write(rows)
                counts[kind] += count
        vocabulary = hashlib.sha256((folder / "vocab.txt").read_bytes()).hexdigest()
        description: dict[str, Any] = {
            "options": asdict(options), "vocabulary": vocabulary,
            "statistics": {kind: statistics(count) for kind, count in counts.items() if count},
            "files": {p.name: _digest(p) for p in sorted(folder.glob("*.tfrecord*"))},
        }  # fmt: skip
        check(statistics(counts[TRAIN]), options)
        write_json(folder / DESCRIPTION, description)
    return description


def blocks(
    documents: Iterable[Document], options: BuildOptions
) -> Iterator[tuple[str, int, list[Document]]]:
    """Yield kind, number and documents of blocks; one has two documents at least for random pairs.

    Raises:
        InputError: there is no document, or one alone where pairs need another.
    """
    waiting: dict[str, list[Document]] = {TRAIN: [], HELD_OUT: []}
    ready: dict[str, list[Document]] = {TRAIN: [], HELD_OUT: []}
    numbers: Counter[str] = Counter()
    for place, document in enumerate(documents):
        held = options.held_out_every and place % options.held_out_every == 0
        kind = HELD_OUT if held else TRAIN
        waiting[kind].append(document)
        if sum(len(text) for d in waiting[kind] for text in d) >= BLOCK_CHARACTERS:
            if ready[kind]:
                yield kind, numbers[kind], ready[kind]
                numbers[kind] += 1
            ready[kind], waiting[kind] = waiting[kind], []
    for kind in (TRAIN, HELD_OUT):
        last = [*ready[kind], *waiting[kind]]  # together, so that no document is left alone
        if not last and kind == TRAIN:
            raise InputError("the corpus has no document: every line is blank")
        if len(last) == 1 and options.pairs.objective == "nsp":
            raise InputError(
                f"the {kind} part has a single document (no blank line between documents?): its "
                "own text would pass for random; add documents, or choose --objective sop or none"
            )
        if last:
            yield kind, numbers[kind], last


def examples_of(
    block: tuple[str, int, list[Document]], tokenizer: str, options: BuildOptions
) -> tuple[str, list[bytes], Counter[str]]:
    """Return the kind of a block, its examples in random order, and what was counted."""
    load_keras()
    from bertfeat_tools.pretraining.examples import serialize

    kind, number, documents = block
    loaded = Tokenizer.from_folder(Path(tokenizer))
    tokens = tokens_of(loaded)
    pieces = [pieces_of(document, loaded, options.segmented) for document in documents]
    pieces = [document for document in pieces if document]
    rng = np.random.default_rng((options.seed, number, kind == HELD_OUT))
    count: Counter[str] = Counter(documents=len(documents))
    found = []
    alone = options.pairs.objective == "nsp" and len(pieces) < 2
    for _ in range(0 if alone else options.copies):
        for place in range(len(pieces)):
            for segments in rows_of(pieces, place, options.pairs, rng):
                example = make_example(segments, loaded, options, tokens, rng, count)
                found.append(serialize(example))
    return kind, [found[place] for place in rng.permutation(len(found))], count


def statistics(count: Counter[str]) -> dict[str, float]:
    """Return rows, tokens, their mean number, and shares of what was drawn."""
    masked = sum(count[kind] for kind in KINDS)
    rows, tokens = max(count["rows"], 1), max(count["tokens"], 1)
    shares = {f"{kind}_share": count[kind] / max(masked, 1) for kind in KINDS}
    return {
        "documents": count["documents"], "rows": count["rows"], "tokens": count["tokens"],
        "mean_tokens": tokens / rows, "label_1_share": count["labels"] / rows,
        "masked": masked, "masked_share": masked / tokens, **(shares if masked else {}),
    }  # fmt: skip


def check(found: dict[str, float], options: BuildOptions) -> None:
    """Check that shares are what was asked for, as far as chance allows.

    Raises:
        InputError: there is no row.
        RuntimeError: a share is more than six deviations off.
    """
    if not found["rows"]:
        raise InputError("the corpus gives no row: its documents have no pairs of sentences")
    masking, masked = options.masking, found["masked"]
    for name, expected in (("mask_share", masking.mask), ("same_share", masking.same)):
        spread = 6 * np.sqrt(max(expected * (1 - expected), 1e-9) / max(masked, 1)) + 1e-3
        # a random token is at times the one that stood there
        if name in found and not expected - spread <= found[name] <= expected + spread + 0.01:
            raise RuntimeError(f"{name} is {found[name]:.4f}, expected {expected}")


def _worked(work: Any, found: Iterator[Any], processes: int) -> Iterator[Any]:
    """Apply `work` to blocks and yield the results in order, few blocks ahead."""
    if processes == 1:
        yield from map(work, found)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        waiting = [pool.submit(work, block) for block in islice(found, 2 * processes)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(work, block) for block in islice(found, 1)]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
