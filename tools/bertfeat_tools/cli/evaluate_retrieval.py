"""``bertfeat evaluate retrieval``: rankings of files, or of a model's vectors."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat_tools.cli.evaluate_lines import COMPARE, FILE, score_runs
from bertfeat_tools.cli.model_vectors import ENCODER, names, vector_options
from bertfeat_tools.cli.options import CONTEXT, OF_THE_MODEL, load_encoder, with_options
from bertfeat_tools.scoring.retrieval import CUTOFFS, GAINS

if TYPE_CHECKING:
    from bertfeat_tools.scoring.judgements import Run

TO_MODEL = ("corpus", "queries", "by_place", "depth", "similarity", "run_output")


def cutoffs(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Read ranks with commas between them."""
    ranks = names(ctx, parameter, value)
    if not all(rank.isdecimal() and int(rank) for rank in ranks):
        raise click.BadParameter(f"{value!r}: expected numbers from 1 with commas between them")
    return tuple(int(rank) for rank in ranks)


@click.command(context_settings=CONTEXT)
@with_options(
    click.argument("qrels", type=FILE),
    click.argument("runs", type=FILE, nargs=-1),
    click.option(
        "-k", "--cutoffs", default=",".join(map(str, CUTOFFS)), callback=cutoffs, metavar="K,K,…",
        help="Ranks to which a ranking is read.",
    ),
    click.option(
        "--gain", type=click.Choice(list(GAINS)), default="linear",
        help="What nDCG counts for a document: its relevance, or 2^relevance - 1.",
    ),
    click.option(
        "--corpus", type=FILE, show_default="none", help="Documents that --model ranks."
    ),
    click.option("--queries", type=FILE, show_default="none", help="What it is asked."),
    click.option(
        "--number-queries", "by_place", is_flag=True,
        help="Ids of queries are 1, 2 … in the order of the file, as Cranfield's judgements have.",
    ),
    click.option("--depth", type=click.IntRange(1), default=1000, help="Documents kept a query."),
    click.option(
        "--similarity", type=click.Choice(["cosine", "dot"]), show_default=OF_THE_MODEL,
        help="How vectors are compared; cosine unless the model says dot.",
    ),
    click.option(
        "--run-output", type=click.Path(dir_okay=False, path_type=Path), show_default="none",
        help="Also write the model's ranking as a TREC run.",
    ),
    COMPARE, ENCODER,
)  # fmt: skip
def retrieval(
    qrels: Path, runs: tuple[Path, ...], cutoffs: tuple[int, ...], gain: str, **options: Any
) -> None:
    """Score rankings by the judgements QRELS: nDCG, MRR, MAP, recall, precision.

    RUNS are TREC's files; several are runs of one system: their mean and standard deviation.
    Without, --model ranks the --corpus for all --queries by its vectors.
    """
    from bertfeat_tools.scoring.judgements import read_qrels, read_run
    from bertfeat_tools.scoring.retrieval import retrieval_statistic

    compare = {name: options.pop(name) for name in ("resamples", "seed")}
    against, judged = options.pop("against"), read_qrels(qrels)
    rankings = [read_run(path) for path in runs] or [_of_model(options)]
    ours, theirs = (
        [retrieval_statistic(judged, run, cutoffs, gain) for run in some]
        for some in (rankings, [read_run(path) for path in against])
    )
    missing = sum(query not in rankings[0] for query in judged)
    click.echo(json.dumps({**score_runs(ours, theirs, **compare), "missing": missing}))


def _of_model(options: dict[str, Any]) -> "Run":
    from bertfeat_tools.scoring.collection import rank_by_vectors, read_texts
    from bertfeat_tools.scoring.judgements import write_run

    given = {name: options.pop(name) for name in TO_MODEL}
    if not (given["corpus"] and given["queries"]):
        raise click.UsageError("give RUNS, or --corpus and --queries for a model to rank")
    chosen = vector_options(options)
    documents = read_texts(given["corpus"])
    queries = read_texts(given["queries"], by_place=given["by_place"])
    encoder = load_encoder(options)
    similarity = given["similarity"] or encoder.runtime.modules.similarity
    run = rank_by_vectors(
        (list(queries), encoder.encode_query(list(queries.values()), **chosen)),
        (list(documents), encoder.encode_document(list(documents.values()), **chosen)),
        given["depth"],
        cosine=similarity != "dot",
    )
    if given["run_output"]:
        write_run(given["run_output"], run, encoder.folder.name)
    return run
