"""``bertfeat evaluate probe``: what can be read off each layer of a frozen model."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat.extras import require
from bertfeat_tools.cli.evaluate_lines import FILE
from bertfeat_tools.cli.model_vectors import names, vector_options
from bertfeat_tools.cli.options import (
    BATCH_TOKENS,
    CONTEXT,
    MAX_SEQ_LEN,
    MODEL,
    POOLING,
    RUN,
    TRUNCATE,
    load_encoder,
    with_options,
)
from bertfeat_tools.scoring.probe import METRICS, C

if TYPE_CHECKING:
    import numpy as np

    from bertfeat_tools.scoring.probe import LayerScore, Split

OWN = ("layers", "folds", "c", "limit", "metric", "plot", "as_json")


def strengths(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    """Read numbers above 0 with commas between them."""
    try:
        found = tuple(float(name) for name in names(ctx, parameter, value))
    except ValueError:
        found = ()
    if not found or not all(0 < number < math.inf for number in found):
        raise click.BadParameter(f"{value!r}: expected numbers above 0 with commas between them")
    return found


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("data", type=FILE),
    click.option(
        "--dev", type=FILE, show_default="none",
        help="Score these rows and train on all of DATA, instead of cross-validation.",
    ),
    click.option(
        "--columns", default="text,label", callback=names, metavar="TEXT[,PAIR],LABEL",
        help="Names, or numbers from 1 for a file without a line of names.",
    ),
    click.option("--layers", default="all", help="0 = embeddings … N = last; lists, ranges, all."),
    click.option("--folds", type=click.IntRange(2), default=5, help="Parts of the rows."),
    click.option(
        "--c", default=",".join(map(str, C)), callback=strengths, metavar="C,C,…",
        help="Inverse strengths of the classifier's L2 regularization, of which one is chosen "
        "within the training rows.",
    ),
    click.option(
        "--limit", type=click.IntRange(2), show_default="all",
        help="Take only so many rows of DATA, drawn by --seed.",
    ),
    click.option(
        "--metric", type=click.Choice(METRICS), default="accuracy",
        help="What the best layer and the plot go by.",
    ),
    click.option(
        "--plot", type=click.Path(dir_okay=False, path_type=Path), show_default="none",
        help="Draw score by layer into this .svg or .html file.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object, not a table."),
    MODEL, POOLING, TRUNCATE, MAX_SEQ_LEN, BATCH_TOKENS, RUN,
)  # fmt: skip
def probe(data: Path, dev: Path | None, columns: tuple[str, ...], **options: Any) -> None:
    """Train a logistic regression on the frozen vectors of each layer, and score it.

    DATA is a CSV, TSV or JSON-lines file of texts, or pairs, and their labels.  By cross-validation
    each row is scored once; mean and deviation are over the folds.
    """
    require("bertfeat evaluate probe", "sklearn", extra="train")
    own = {name: options.pop(name) for name in OWN}
    chosen = vector_options(options) | {"layers": own["layers"], "combine": "none"}
    texts, labels, splits = _rows(data, dev, columns, own, options["seed"])
    encoder = load_encoder(options)
    vectors = encoder.encode(texts, **chosen)
    result = _scores(vectors, encoder.num_layers, (labels, splits), own)
    result = {"model": encoder.folder.name, "pooling": options["pooling"], **result}
    if own["plot"]:
        _draw(own["plot"], data.name, result)
    click.echo(json.dumps(result, ensure_ascii=False) if own["as_json"] else _table(result))


def _rows(
    data: Path, dev: Path | None, columns: Sequence[str], own: dict[str, Any], seed: int
) -> tuple[list[Any], list[str], "list[Split]"]:
    """Return all texts (pairs as tuples), their labels, and which rows are trained and scored."""
    import numpy as np

    from bertfeat_tools.scoring.probe import check_labels, folds
    from bertfeat_tools.table import read_table

    if len(columns) not in (2, 3):
        raise click.BadParameter("expected TEXT,LABEL or TEXT,PAIR,LABEL", param_hint="--columns")
    rows = read_table(data, columns)
    if own["limit"] is not None and own["limit"] < len(rows):
        drawn = np.random.default_rng(seed).permutation(len(rows))[: own["limit"]]
        rows = [rows[at] for at in sorted(drawn)]
    count = len(rows)
    check_labels([row.values[-1] for row in rows])
    rows += read_table(dev, columns) if dev is not None else []
    labels, every = [row.values[-1] for row in rows], np.arange(len(rows))
    texts = [row.values[0] if len(columns) == 2 else row.values[:2] for row in rows]
    if dev is not None:
        return texts, labels, [(every[:count], every[count:])]
    return texts, labels, folds(labels, own["folds"], seed)


def _scores(
    vectors: "np.ndarray",
    num_layers: int,
    rows: "tuple[list[str], list[Split]]",
    own: dict[str, Any],
) -> dict[str, Any]:
    from bertfeat.features.layers import resolve_layers
    from bertfeat_tools.scoring.probe import baseline, probe_layers

    labels, splits = rows
    layers, metric = resolve_layers(own["layers"], num_layers), own["metric"]
    found = list(probe_layers(vectors, layers, labels, splits, c=own["c"]))
    _warn_of(found)
    return {
        "metric": metric,
        "rows": len(labels),
        "classes": len(set(labels)),
        "splits": len(splits),
        "best_layer": max(found, key=lambda one: one.scores[metric]["mean"]).layer,
        "baseline": baseline(labels, splits),
        "layers": [{"layer": one.layer, **one.scores, "c": one.c} for one in found],
    }


def _warn_of(found: "Sequence[LayerScore]") -> None:
    unfinished = [str(one.layer) for one in found if not one.converged]
    if unfinished:
        click.echo(
            f"warning: the classifier of layer {', '.join(unfinished)} stopped before its optimum; "
            "a smaller --c makes it easier",
            err=True,
        )


def _table(result: dict[str, Any]) -> str:
    rows = [("most frequent label", result["baseline"])]
    rows += [(f"layer {one['layer']}", one) for one in result["layers"]]
    lines = ["\t".join(("", *METRICS))]
    lines += ["\t".join((name, *(_cell(one[metric]) for metric in METRICS))) for name, one in rows]
    best = f"best {result['metric']}: layer {result['best_layer']}"
    return "\n".join([*lines, f"{best} ({result['rows']} rows, {result['classes']} classes)"])


def _cell(score: dict[str, float]) -> str:
    return f"{score['mean']:.4f}" + (f" ± {score['sd']:.4f}" if "sd" in score else "")


def _draw(path: Path, name: str, result: dict[str, Any]) -> None:
    from bertfeat_tools.scoring.layer_plot import Point, write_layer_plot

    metric = result["metric"]
    points = [
        Point(one["layer"], one[metric]["mean"], one[metric].get("sd", 0.0))
        for one in result["layers"]
    ]
    write_layer_plot(
        path, points, title=f"{result['model']} on {name}", metric=metric,
        baseline=result["baseline"][metric]["mean"],
    )  # fmt: skip
