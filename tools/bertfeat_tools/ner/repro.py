"""The feature-based rows of the BERT paper's table of NER, on any encoder and any data.

Devlin et al. 2019, table 7: which layers, and how combined, feed the tagger.  All rows share one
extraction; each cell of the table is a run of its own that goes on where it was interrupted.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.ner.sentences import Sentence
from bertfeat.ner.settings import TaggerSettings
from bertfeat_tools.ner.approaches import FeatureBased
from bertfeat_tools.ner.job import RESULT, Features, data_for, train_one
from bertfeat_tools.ner.train import NerTraining
from bertfeat_tools.scoring.bootstrap import mean_and_sd


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: as the paper has it.
        layers: numbers out of 0 … N, from the number of layers.
        combine: of a :class:`TaggerSettings`.
        paper: the paper's entity F1 on CoNLL-2003's development set with BERT-base, in percent.
    """

    name: str
    layers: Callable[[int], list[int]]
    combine: str
    paper: float


ROWS = (
    Row("Embeddings", lambda n: [0], "concat", 91.0),
    Row("Second-to-Last Hidden", lambda n: [n - 1], "concat", 95.6),
    Row("Last Hidden", lambda n: [n], "concat", 94.9),
    Row("Weighted Sum Last Four Hidden", lambda n: last(n, 4), "weighted", 95.9),
    Row("Concat Last Four Hidden", lambda n: last(n, 4), "concat", 96.1),
    Row("Weighted Sum All {n} Layers", lambda n: last(n, n), "weighted", 95.5),
)


def last(num_layers: int, count: int) -> list[int]:
    """Return the numbers of the last layers, the embeddings never among them."""
    return list(range(max(1, num_layers - count + 1), num_layers + 1))


@dataclass(frozen=True)
class Cell:
    """One run: a row of the table and a seed.

    Attributes:
        row: its name.
        seed: of the run.
        folder: where it lies.
        settings: of its tagger.
        columns: places of its layers among those extracted.
    """

    row: str
    seed: int
    folder: Path
    settings: TaggerSettings
    columns: list[int]


def cells(settings: TaggerSettings, num_layers: int, seeds: int, folder: Path) -> Iterator[Cell]:
    """Yield the cells of the table, row by row.

    Args:
        settings: of a tagger on all layers, 0 … N.
        num_layers: N.
        seeds: runs of each row.
        folder: of the table.
    """
    for number, row in enumerate(ROWS):
        layers = row.layers(num_layers)
        own = replace(settings, layers=tuple(layers), combine=row.combine)
        for seed in range(seeds):
            place = folder / f"row-{number + 1}" / f"seed-{seed}"
            yield Cell(row.name.format(n=num_layers), seed, place, own, layers)


def reproduce(
    features: Features, files: Sequence[Sequence[Sentence]], training: NerTraining, folder: Path,
    *, seeds: int = 3, network: dict[str, Any] | None = None, progress: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """Train every cell of the table that is not trained yet.

    Args:
        features: their layers do not matter: all are extracted.
        files: training and development sentences.
        training: how; its seed does not matter.
        folder: of the table.
        seeds: runs of each row.
        network: fields of :class:`TaggerSettings`.
        progress: ``progress(text, done, total)``.

    Returns:
        ``rows`` with their scores, seconds of extraction and training, sentences whose vectors were
        ``cached`` and ``computed``.
    """
    features = replace(features, layers="all")
    settings = features.settings(files[0], **network or {})
    started = time.perf_counter()
    show = progress or (lambda text, done, total: None)
    data = data_for(features, settings, files, lambda done, total: show("extracting", done, total))
    extraction_s = time.perf_counter() - started
    results: dict[str, list[dict[str, Any]]] = {}
    for cell in cells(settings, settings.layers[-1], seeds, folder):
        if not (cell.folder / RESULT).is_file():
            _train(cell, data, training, show)
        found = json.loads((cell.folder / RESULT).read_text("utf-8"))
        results.setdefault(cell.row, []).append(found)
    rows = [
        {
            "row": name, "paper": row.paper, "runs": runs,
            "f1": mean_and_sd([{"f1": run["f1"]} for run in runs])["f1"],
            "train_s": sum(run["train_s"] for run in runs),
        }
        for row, (name, runs) in zip(ROWS, results.items(), strict=True)
    ]  # fmt: skip
    vectors = features.word_vectors
    return {"rows": rows, "extraction_s": round(extraction_s, 2), "cached": vectors.hits,
            "computed": vectors.computed}  # fmt: skip


def table(result: dict[str, Any], model: str) -> str:
    """Return the table in the paper's layout, entity F1 in percent."""
    lines = [f"{'System':<34}{'Dev F1':>16}{'paper':>9}", f"Feature-based approach ({model})"]
    for row in result["rows"]:
        f1 = row["f1"]
        score = f"{100 * f1['mean']:.1f} ± {100 * f1['sd']:.1f}"
        lines.append(f"  {row['row']:<32}{score:>16}{row['paper']:>9.1f}")
    lines.append(
        f"{len(result['rows'][0]['runs'])} seed(s) a row; the paper's are BERT-base on CoNLL-2003"
    )
    seconds = sum(row["train_s"] for row in result["rows"])
    lines.append(
        f"Vectors of {result['cached']} sentences were kept from before, of {result['computed']} "
        f"computed, in {result['extraction_s']:.1f} s; training took {seconds:.1f} s"
    )
    return "\n".join(lines)


def _train(cell: Cell, data: Any, training: NerTraining, show: Any) -> None:
    def pick(row: np.ndarray) -> np.ndarray:
        return row[:, cell.columns]

    train_one(
        cell.settings, data, replace(training, seed=cell.seed), cell.folder,
        approach=FeatureBased(pick),
        progress=lambda step, steps, values: show(f"{cell.row}, seed {cell.seed}", step, steps),
    )  # fmt: skip
