"""Print what was measured as tables."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from figures import FAITHFUL
from roster import BASELINE, OURS, ROSTER

NOTES = f"""\
Ratios are times as fast as {BASELINE}, and as {OURS}: median of the rounds, lowest to highest.
Tokens are real ones, [CLS] and [SEP] included, padding not. The peak is a large float32 matrix
product of the same rounds; the share counts what the model's definition asks for, so int8 may pass
what float32 can. Start-up is from nothing to a first vector. Cosine is the mean to {OURS}
(else to the baseline)."""
BUSY = 0.1
NOT_FAITHFUL = f"cosine below {FAITHFUL}: its speed buys other vectors"


def show(results: dict[str, Any], console: Console | None = None) -> None:
    """Print a table for each mix, one for what does not depend on the mix, and the notes."""
    console = console or Console(width=None if Console().is_terminal else 140)
    about = results["machine"]
    console.print(
        f"{about['processor']}, {results['threads']} of {about['cores']} cores, "
        f"{about['gflops']:,} GFLOP/s; {results['model']}, {results['rounds']} rounds"
    )
    if about["busy_cores"] > BUSY:
        console.print(
            f"others kept {about['busy_cores']} cores busy on average: do not trust these figures"
        )
    for mix, sizes in results["mixes"].items():
        console.print(speed_table(mix, sizes, results["systems"]))
    console.print(other_table(results["systems"]))
    for name, reason in results["missing"].items():
        console.print(f"not measured: {name}: {reason}", markup=False)
    for name, note in notes(results["systems"]):
        console.print(f"{name}: {note}", markup=False)
    console.print(NOTES, markup=False)


def speed_table(mix: str, sizes: dict[str, int], rows: Sequence[dict[str, Any]]) -> Table:
    """Return the speeds on one mix."""
    mean = sizes["tokens"] / sizes["texts"]
    table = _table(
        f"{mix}: {sizes['texts']:,} texts of {mean:.0f} tokens",
        ["texts/s", "tokens/s", "× baseline", "× ours", "of peak"],
    )
    for row in rows:
        speed = row["mixes"][mix]
        table.add_row(
            row["system"], f"{speed['texts_per_s']:,}", f"{speed['tokens_per_s']:,}",
            spread(speed["to_baseline"]), spread(speed["to_ours"]), f"{speed['share_of_peak']:.0%}",
        )  # fmt: skip
    return table


def other_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return latency, memory, start-up and quality."""
    table = _table(
        "one text of 16 tokens, the process, quality",
        ["p50 ms", "p99 ms", "peak MB", "start-up s", "STS-B dev", "cosine"],
    )
    for row in rows:
        table.add_row(
            row["system"], f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}", f"{row['peak_mb']:,}",
            f"{row['startup_s']:.1f}", f"{row['sts_spearman']:.4f}", cosine(row),
        )  # fmt: skip
    return table


def spread(ratio: Sequence[float] | None) -> str:
    """Return a median with its spread."""
    return "–" if ratio is None else f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})"


def cosine(row: dict[str, Any]) -> str:
    """Return a row's cosine, marked where it is too low."""
    if row["cosine"] is None:
        return "–"
    return f"{row['cosine']:.4f}{'!' if unfaithful(row) else ''}"


def unfaithful(row: dict[str, Any]) -> bool:
    """Tell whether vectors that should be like float32's are not."""
    exempt = {system.name for system in ROSTER if not system.like_float32}
    return row["system"] not in exempt and row["cosine"] is not None and row["cosine"] < FAITHFUL


def notes(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what there is to say of each system."""
    found = [(row["system"], row["note"]) for row in rows if row["note"]]
    return found + [(row["system"], f"! {NOT_FAITHFUL}") for row in rows if unfaithful(row)]


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("system", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
