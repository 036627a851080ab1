"""What the commands print for people."""

from collections.abc import Mapping
from typing import Any

from bertfeat_server.config import ServerConfig


def summary(config: ServerConfig, endpoint: str, info: Mapping[str, Any]) -> str:
    """Return the few lines that a server prints when it has started."""
    lines = [f"bertfeat {info['version']} at {endpoint}"]
    if info["http"]:
        guarded = "API keys needed" if config.api_key_file else "open to whoever reaches it"
        lines.append(f"  HTTP       {info['http']} ({guarded})")
    if info["compat"]:
        lines.append(f"  compat     bert-as-service's clients at {info['compat']} (open)")
    for model in info["models"]:
        if "dim" not in model:
            lines.append(f"  model      {model['name']}: loaded when it is asked for")
            continue
        lines += [
            f"  model      {model['name']}: {model['dim']} dimensions, "
            f"{model['max_seq_len']} tokens",
            f"  precision  {model['precision']} ({model['precision_reason']})",
        ]
    for task in info.get("tasks") or ():
        known = "loaded when it is asked for"
        if "task" in task:
            known = f"{task['task']}, {len(task['labels'])} labels"
        lines.append(f"  task       {task['name']}: {known}")
    count, threads = len(config.devices), config.worker_threads
    lines.append(f"  workers    {count} for each model, {threads} thread(s) each")
    if info["index"] is not None:
        lines.append(f"  index      {config.index}")
    return "\n".join(lines)


def status_table(report: Mapping[str, Any]) -> str:
    """Return the answer to ``status`` as a table."""
    queue, batches, requests = report["queue"], report["batches"], report["requests"]
    state = "draining" if report["draining"] else "ready" if report["ready"] else "not ready"
    lines = [
        f"{report['endpoint']}  {state}  up {report['uptime_s']:.0f} s",
        f"queue     {queue['requests']} requests, "
        f"{queue['tokens']} of {queue['max_tokens']} tokens",
        f"requests  {requests['answered']} answered, {requests['failed']} failed",
        f"batches   {batches['done']} done, {batches['rows']} rows, {batches['lost']} lost",
        f"{'pid':>9}  {'state':8}  model",
    ]
    lines += [
        f"{worker['pid']:>9}  {worker['state']:8}  {worker['model'] or '(index)'}"
        for worker in report["workers"]
    ]
    return "\n".join(lines)
