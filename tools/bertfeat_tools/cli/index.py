"""``bertfeat index``: texts into a folder, their neighbours out of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertfeat.errors import BertFeatError, IndexStoreError
from bertfeat.features.options import EncodeOptions
from bertfeat.index.description import METRICS
from bertfeat.index.documents import check_ids, name_ids
from bertfeat.index.records import FORMATS
from bertfeat_tools.cli.line_job import INPUT_FILE
from bertfeat_tools.cli.options import (
    BATCH_TOKENS,
    CONTEXT,
    FEATURES,
    MAX_SEQ_LEN,
    MODEL,
    RUN,
    TRUNCATE,
    encode_options,
    load_encoder,
    with_options,
)
from bertfeat_tools.cli.run import FAILED
from bertfeat_tools.cli.searching import print_hits, query_batches

if TYPE_CHECKING:
    from bertfeat.index import VectorIndex

# The index chooses number format and prompts itself.
FEATURES_OF_INDEX = (*FEATURES[:6], TRUNCATE, MAX_SEQ_LEN)
FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
OWN_MODEL = click.option(
    "--model", metavar="NAME_OR_FOLDER", show_default="the index's own",
    help="Where the model of the index lies, if not where it was.",
)  # fmt: skip


@click.group(context_settings=CONTEXT)
def index() -> None:
    """Keep texts with their vectors in a folder and find the nearest to a text.

    The search is exact.  What was added is on the disk and survives a crash; one process at a
    time may write, any number may search.
    """


@index.command(context_settings=CONTEXT)
@with_options(
    FOLDER, MODEL,
    click.option(
        "--metric", type=click.Choice(METRICS), show_default="the model's own, else cosine",
        help="How vectors are compared.",
    ),
    FEATURES_OF_INDEX, RUN,
)  # fmt: skip
def create(folder: Path, metric: str | None, **options: Any) -> None:
    """Make an empty index in FOLDER, which is new or empty, for a model's vectors."""
    from bertfeat.index import VectorIndex

    default = vars(EncodeOptions())
    given = {n: v for n, v in encode_options(options).items() if v != default[n]}
    encoder = load_encoder(options)
    model = options["model"] if not Path(options["model"]).exists() else None
    made = VectorIndex.create(folder, encoder, metric=metric, model=model, features=given)
    with made:
        click.echo(
            f"made {folder}: {made.description.dim} dimensions, {made.description.metric}, "
            f"model {made.description.model}",
            err=True,
        )


@index.command(context_settings=CONTEXT)
@with_options(
    FOLDER, click.argument("file", type=INPUT_FILE, default="-"),
    click.option(
        "--format", "form", type=click.Choice(FORMATS), default="auto",
        help="text: a text a line; jsonl: objects with text, if wanted id, and metadata as further "
        "keys; auto: as the first line looks.",
    ),
    click.option("--replace", is_flag=True, help="Write over documents of the same id."),
    click.option(
        "--batch-size", type=click.IntRange(1), default=1024,
        help="Documents that are written together; a crash loses only unwritten ones.",
    ),
    click.option("--json", "as_json", is_flag=True, help='Print {"ids": […]} as batches are safe.'),
    OWN_MODEL, BATCH_TOKENS, RUN,
)  # fmt: skip
def add(folder: Path, file: str, form: str, as_json: bool, **options: Any) -> None:
    """Add the texts of FILE (stdin unless given), a document a line.

    Documents without an id get the numbers after the highest ever used.  Blank lines are passed
    over.  An id in use is an error unless --replace is given.
    """
    from bertfeat.features.reader import open_lines
    from bertfeat.features.writers.journal import Report
    from bertfeat.index.records import DocumentLines
    from bertfeat_tools.cli.progress import progress_bar

    with open_index(folder, options, write=True) as opened, open_lines(file) as reader:
        documents, report = DocumentLines(reader, form), Report()
        try:
            with progress_bar(file, quiet=options["quiet"]) as watch:
                for ids in opened.add_documents(
                    documents, replace=options["replace"], batch_documents=options["batch_size"]
                ):
                    report.lines += len(ids)
                    watch(reader, report)
                    if as_json:
                        click.echo(json.dumps({"ids": ids.tolist()}))
        except BertFeatError:
            click.echo(f"{report.lines} documents were added before this:", err=True)
            raise
        passed = f", {documents.blank} blank lines passed over" if documents.blank else ""
        click.echo(f"added {report.lines}{passed}; {opened.ntotal} in the index", err=True)


@index.command(context_settings=CONTEXT)
@with_options(
    FOLDER, click.argument("file", type=INPUT_FILE, required=False),
    click.option("--query", "queries", multiple=True, metavar="TEXT", help="May come repeatedly."),
    click.option("-k", type=click.IntRange(1), default=10, help="Neighbours of each query."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object for each query."),
    OWN_MODEL, BATCH_TOKENS, RUN,
)  # fmt: skip
def search(
    folder: Path, file: str | None, queries: tuple[str, ...], k: int, as_json: bool, **options: Any
) -> None:
    """Find the nearest documents to each --query, or to each line of FILE (- is stdin).

    Prints rank, score, id and text with tabs between them, best first; a blank line stands
    between the neighbours of two queries.  Scores grow with nearness: cosine, inner product or
    negative Euclidean distance.
    """
    if bool(queries) == (file is not None):
        raise click.UsageError("give either --query TEXT or a FILE of queries, - for stdin")
    with open_index(folder, options) as opened:
        first = True
        for batch in query_batches(file, queries):
            for query, hits in zip(batch, opened.search(batch, k), strict=True):
                print_hits(query, hits, as_json=as_json, first=first)
                first = False


@index.command(context_settings=CONTEXT)
@with_options(
    FOLDER,
    click.option(
        "--ids", required=True, multiple=True, metavar="1,2,…", help="May come repeatedly."
    ),
)
def delete(folder: Path, ids: tuple[str, ...]) -> None:
    """Delete documents by their ids; those that are not there are named on stderr."""
    from bertfeat.index import VectorIndex

    asked = numbers(",".join(ids))
    with VectorIndex.open(folder) as opened:
        opened.lock()
        missing = sorted(set(asked) - set(opened.get(asked)))
        gone = opened.delete(asked)
        click.echo(f"deleted {gone}; {opened.ntotal} in the index", err=True)
    if missing:
        click.echo(f"not in the index: {name_ids(missing)}", err=True)


@index.command(context_settings=CONTEXT)
@with_options(FOLDER, click.option("--json", "as_json", is_flag=True, help="One JSON object."))
def info(folder: Path, as_json: bool) -> None:
    """Show what an index holds and how its vectors were made."""
    from bertfeat.index import VectorIndex

    with VectorIndex.open(folder) as opened:
        found = opened.info()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for name, value in found.items():
        click.echo(f"{name:18} {value if isinstance(value, str) else json.dumps(value)}")


@index.command(context_settings=CONTEXT)
@with_options(FOLDER)
@click.pass_context
def verify(ctx: click.Context, folder: Path) -> None:
    """Check documents, vectors and FAISS file against each other; exit 1 if anything is wrong."""
    from bertfeat.index import VectorIndex

    with VectorIndex.open(folder) as opened:
        report = opened.verify()
    for problem in report.problems:
        click.echo(problem)
    if report.problems:
        ctx.exit(FAILED)
    click.echo(f"ok: {report.documents} documents")


@index.command(context_settings=CONTEXT)
@with_options(FOLDER)
def rebuild(folder: Path) -> None:
    """Make the FAISS file anew from the documents."""
    from bertfeat.index import VectorIndex

    with VectorIndex.open(folder) as opened:
        click.echo(f"rebuilt from {opened.rebuild()} documents", err=True)


def open_index(folder: Path, options: Mapping[str, Any], *, write: bool = False) -> "VectorIndex":
    """Open an index with its encoder; what can fail at once fails before the model is loaded.

    Raises:
        IndexStoreError: it is no index of texts, or another process writes it.
    """
    from bertfeat.index import VectorIndex

    opened = VectorIndex.open(folder)
    try:
        if write:
            opened.lock()
        model = options["model"] or opened.description.model
        if model is None:
            raise IndexStoreError(
                f"{folder} was made without a model: it holds vectors, and texts cannot be added "
                "to it or searched in it"
            )
        opened.attach(load_encoder({**options, "model": model}))
    except BaseException:
        opened.close()
        raise
    return opened


def numbers(listed: str) -> list[int]:
    """Read ids with commas between them.

    Raises:
        click.BadParameter: they are none.
    """
    try:
        return check_ids([int(number) for number in listed.split(",")])
    except ValueError as error:
        raise click.BadParameter(f"{listed!r}: expected ids such as 1,2 ({error})") from None
