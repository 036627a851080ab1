"""``bertfeat-serve bench``: how much a running server takes, and how long its answers take."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import click

from bertfeat_client import AsyncClient
from bertfeat_server.finding import Access, access
from bertfeat_server.load import Load, Report, run


@click.command()
@access
@click.option("--callers", type=click.IntRange(1), default=16, help="Callers at a time.")
@click.option(
    "--rate", type=float, show_default="as fast as they are answered",
    help="Requests per second instead, at random times (open loop).",
)  # fmt: skip
@click.option("--texts", type=click.IntRange(1), default=1, help="Texts in each request.")
@click.option("--words", default="4,12,40", help="Words of a text: one of these numbers.")
@click.option("--seconds", type=float, default=10.0, help="Time that is measured.")
@click.option("--warm-up-s", type=float, default=2.0, help="Time before that.")
@click.option("--timeout-s", type=float, default=30.0, help="Time that a request has.")
@click.option("--seed", type=int, default=0, help="Of the texts.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def bench(access: Access, timeout_s: float, as_json: bool, **options: Any) -> None:
    """Put load on a running server and show throughput and latency with 95 % intervals."""
    options["words"] = _numbers(options["words"])
    load, before = Load(**options), access.ask("status")
    header = {"token": access.token} if access.token else {}

    async def measure() -> Report:
        async with AsyncClient(
            access.server.door, timeout_s=timeout_s, api_key=access.api_key or None,
            curve=access.curve, header=header,
        ) as client:  # fmt: skip
            return await run(client.with_header(caller="bench"), load)

    report = asyncio.run(measure()).as_dict()
    after = access.ask("status")
    report["texts_per_batch"] = _per_batch(before["batches"], after["batches"])
    click.echo(json.dumps(report) if as_json else table(report))


def table(report: Mapping[str, Any]) -> str:
    """Return the figures for a person."""
    low, high = report["requests_per_s_95"]
    lines = [
        f"{report['requests']} requests in {report['seconds']:g} s: "
        f"{report['requests_per_s']:g} per second ({low:g} to {high:g})",
        f"{report['texts_per_s']:g} texts, {report['tokens_per_s']:g} tokens per second, "
        f"{report['texts_per_batch'] or 0:g} texts in a batch",
        f"{'ms':10}{'p50':>24}{'p90':>24}{'p99':>24}",
    ]
    for name in ("latency", "queue", "compute"):
        found = report[f"{name}_ms"]
        cells = [f"{_ms(found[q])} ({_ms(found[f'{q}_95'][0])} – {_ms(found[f'{q}_95'][1])})"
                 for q in ("p50", "p90", "p99")]  # fmt: skip
        lines.append(f"{name:10}" + "".join(f"{cell:>24}" for cell in cells))
    lines += [f"{count} × {kind}" for kind, count in report["errors"].items()]
    return "\n".join(lines)


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{text!r} is not like 4,12,40", param_hint="--words")
    return tuple(map(int, parts))


def _per_batch(before: Mapping[str, int], after: Mapping[str, int]) -> float | None:
    batches = after["done"] - before["done"]
    return round((after["rows"] - before["rows"]) / batches, 2) if batches else None


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
