"""What a server says of its work."""

from dataclasses import dataclass

from bertfeat_server.settings.group import Group, option

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class Logging(Group):
    """Log, traces and summary."""

    log_level: str = option("info", "What is logged on stderr.", choices=LOG_LEVELS)
    log_json: bool = option(False, "Log one JSON object a line.")
    log_requests: bool = option(False, "Log a line for each request, without its texts.")
    otlp_endpoint: str = option(
        "", "Send a trace of each request to this URL, OTLP over HTTP.", shown="none",
        metavar="http://HOST:4318/v1/traces",
    )  # fmt: skip
    quiet: bool = option(False, "Print no summary at start.")
