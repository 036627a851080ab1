"""Queries in batches, and their neighbours as lines of text or JSON."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice

import click

from bertfeat.index.documents import Hit

BATCH_QUERIES = 1024
NOT_IN_A_COLUMN = str.maketrans("\t\n\r\v\f", "     ")


def query_batches(file: str | None, queries: Sequence[str]) -> Iterator[list[str]]:
    """Yield the queries of the command line, or a file's lines as they come."""
    if file is None:
        yield list(queries)
        return
    from bertfeat.features.reader import open_lines
    from bertfeat.index.records import texts_of

    with open_lines(file) as reader:
        texts = texts_of(reader)
        while batch := list(islice(texts, BATCH_QUERIES)):
            yield batch


def print_hits(query: str, hits: Sequence[Hit], *, as_json: bool, first: bool) -> None:
    """Print one query's neighbours.

    Args:
        query: its text.
        hits: its neighbours, best first.
        as_json: one object with everything; else lines of rank, score, id and text, in which tabs
            and line breaks of a text become blanks.
        first: no blank line comes before it.
    """
    if as_json:
        found = {"query": query, "hits": [hit._asdict() for hit in hits]}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    if not first:
        click.echo()
    for hit in hits:
        text = (hit.text or "").translate(NOT_IN_A_COLUMN)
        click.echo(f"{hit.rank}\t{hit.score:.6f}\t{hit.id}\t{text}")
