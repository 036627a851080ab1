"""``bertfeat models list`` and ``bertfeat models fetch``."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import click

from bertfeat_tools.cli.options import CONTEXT

Row = Mapping[str, Any]
COLUMNS = (
    *("name", "installed", "task", "languages", "licence", "size_mb", "dim", "max_length"),
    *("note", "repo", "folder"),
)
SHOWN = COLUMNS[:-2]
NUMBERS = ("size_mb", "dim", "max_length")


@click.command("list", context_settings=CONTEXT)
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def list_models(as_json: bool) -> None:
    """Show the models that are installed and those that are recommended.

    A table on a terminal, tab-separated lines in a pipe.  A dim of "-" means that the model gives
    scores, not vectors, or that it is not among the recommended.
    """
    rows = model_rows()
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        for line in (COLUMNS, *([_text(row[key]) for key in COLUMNS] for row in rows)):
            click.echo("\t".join(line))


@click.command(context_settings=CONTEXT)
@click.argument("name")
@click.option("--revision", help="Branch, tag or commit of the model's repository on the hub.")
@click.option("--offline", is_flag=True, help="Use no network: only look where models lie already.")
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
def fetch(name: str, revision: str | None, offline: bool, quiet: bool) -> None:
    """Find the model NAME, download it where need be, and print its folder.

    NAME is a recommended model's name, ORG/NAME on the Hugging Face hub, or a folder.
    """
    from bertfeat.checkpoints import resolve

    full_name = f"{name}@{revision}" if revision else name
    click.echo(resolve(full_name, offline=offline, progress=not quiet))


def model_rows() -> list[dict[str, Any]]:
    """Return a row for each model, recommended ones first, with the keys of `COLUMNS`."""
    from bertfeat.checkpoints.installed import installed
    from bertfeat.checkpoints.registry import RECOMMENDED

    here = {model.name: model for model in installed()}
    rows = []
    for entry in RECOMMENDED:
        found = here.pop(entry.name, None)
        known = {key: getattr(entry, key) for key in COLUMNS if hasattr(entry, key)}
        rows.append(known | _place(found.folder if found else None))
    others = [{"name": m.name, "size_mb": m.size_mb} | _place(m.folder) for m in here.values()]
    return [{key: row.get(key) for key in COLUMNS} for row in (*rows, *others)]


def _place(folder: object | None) -> dict[str, Any]:
    return {"installed": folder is not None, "folder": folder and str(folder)}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)


def _print_table(rows: Sequence[Row]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for key in SHOWN:
        justify: Literal["left", "right"] = "right" if key in NUMBERS else "left"
        table.add_column(key.replace("_", " "), justify=justify, no_wrap=key == "name")
    for row in rows:
        style = "bold" if row["installed"] else None
        table.add_row(*(_text(row[key]) for key in SHOWN), style=style)
    Console().print(table)
