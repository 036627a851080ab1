"""``status --watch``: the state of a server, again every second."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from bertfeat_client.errors import ClientError
from bertfeat_server.texts import status_table

Report = Mapping[str, Any]


def watch(ask: Callable[[], Report], every_s: float) -> None:
    """Show a server's state in place until interrupted; one that is away is waited for."""
    from rich.live import Live
    from rich.text import Text

    before: Report | None = None
    with Live(auto_refresh=False) as live:
        while True:
            try:
                report = ask()
                text = "\n".join([status_table(report), *pace(before, report)])
                before = report
            except ClientError as error:
                text, before = str(error), None
            live.update(Text(text), refresh=True)
            time.sleep(every_s)


def pace(before: Report | None, report: Report) -> list[str]:
    """Return what was done between two states, in a line."""
    if before is None or report["uptime_s"] <= before["uptime_s"]:
        return []
    seconds = report["uptime_s"] - before["uptime_s"]
    rows, tokens, batches = (
        report["batches"][name] - before["batches"][name] for name in ("rows", "tokens", "done")
    )
    p50, p99 = (report["latency_ms"][name] for name in ("p50", "p99"))
    line = f"now       {rows / seconds:.0f} texts/s, {tokens / seconds:.0f} tokens/s"
    line += f", {rows / batches:.1f} texts in a batch" if batches else ""
    return [line + (f", p50 {p50:.1f} ms, p99 {p99:.1f} ms" if p50 is not None else "")]
