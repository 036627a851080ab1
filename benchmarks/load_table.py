"""Print what servers did under load, and ours beside theirs."""

from typing import Any

from rich.console import Console
from rich.table import Table

from figures import ratios
from table import BUSY, spread

PAIRS = (
    ("bertfeat float32", "Infinity torch float32"),
    ("bertfeat auto", "Infinity torch float32"),
    ("bertfeat int8", "Infinity torch float32"),
    ("bertfeat int8", "Infinity ONNX int8"),
)
"""Ours and theirs that are set against one another."""
NOTES = """\
Times as many texts, and p99 as a share of theirs, per round: median, lowest to highest; p99 in the
first tables is that of all rounds together. "callers" are the cores that the load itself took, of
the same machine. Only replies of status 200 with a vector for each text count; of each server's
answers 256 were compared with our float32 beforehand (cosine). No server cut a text."""


def compared(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return, for each pair and scenario, the ratios of texts per second and of p99."""
    known = {row["system"]: row["scenarios"] for row in results["systems"]}
    return [
        {
            "ours": ours, "theirs": theirs, "scenario": scenario,
            "texts_per_s": ratios(*each(known, ours, theirs, scenario, "texts_per_s")),
            "p99": ratios(*each(known, ours, theirs, scenario, "p99_ms")),
        }
        for ours, theirs in PAIRS if ours in known and theirs in known
        for scenario in results["scenarios"]
    ]  # fmt: skip


def each(known: Any, ours: str, theirs: str, scenario: str, figure: str) -> list[list[float]]:
    """Return a figure's values in all rounds, of both."""
    return [known[name][scenario]["each_round"][figure] for name in (ours, theirs)]


def show(results: dict[str, Any]) -> None:
    """Print a table for each scenario, one for the comparison, and the notes."""
    console = Console(width=None if Console().is_terminal else 140)
    about = results["machine"]
    console.print(
        f"{about['processor']}, {results['threads']} of {about['cores']} cores; "
        f"{results['model']}, texts of {results['texts']['mean_tokens']} tokens; "
        f"{results['rounds']} rounds of {results['seconds']:g} s"
    )
    if about["busy_cores"] > BUSY:
        console.print(
            f"{about['busy_cores']} cores were busy before the turns: do not trust these figures"
        )
    for scenario in results["scenarios"]:
        console.print(scenario_table(scenario, results["systems"]))
    console.print(pairs_table(results["compared"]))
    for name, reason in results["missing"].items():
        console.print(f"not measured: {name}: {reason}", markup=False)
    for row in results["systems"]:
        console.print(f"{row['system']}: {row['command']}", markup=False)
    console.print(NOTES, markup=False)


def scenario_table(scenario: str, rows: list[dict[str, Any]]) -> Table:
    """Return what the servers did under one load."""
    table = _table(
        f"callers × texts of a request: {scenario}", "system",
        ["texts/s", "p50 ms", "p99 ms", "requests", "errors", "callers", "cosine"],
    )  # fmt: skip
    for row in rows:
        found = row["scenarios"][scenario]
        table.add_row(
            row["system"], f"{found['texts_per_s']:,}", f"{found['p50_ms']:,.1f}",
            f"{found['p99_ms']:,.1f}", f"{found['requests']:,}",
            str(sum(found["errors"].values())), f"{found['callers_cores']:.2f}",
            "–" if row["cosine"] is None else f"{row['cosine']:.4f}",
        )  # fmt: skip
    return table


def pairs_table(rows: list[dict[str, Any]]) -> Table:
    """Return ours beside theirs."""
    table = _table("ours beside theirs", "", ["callers × texts", "texts/s", "p99"])
    for row in rows:
        table.add_row(
            f"{row['ours']} / {row['theirs']}", row["scenario"], spread(row["texts_per_s"]),
            spread(row["p99"]),
        )  # fmt: skip
    return table


def _table(title: str, first: str, columns: list[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
