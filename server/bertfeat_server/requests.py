"""From a client's message to a request that can be scheduled: every check, once, at the border."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bertfeat_client.errors import InvalidRequest, NotFound, to_wire
from bertfeat_client.protocol import Message
from bertfeat_server.backend import INDEX_OPS, MODEL_OPS, TASK_OPS
from bertfeat_server.config import ServerConfig
from bertfeat_server.jobs import Key
from bertfeat_server.shares import PRIORITIES
from bertfeat_server.tasks import named_task

CHANGES_INDEX = ("index_add", "index_delete")
MAX_ID_CHARS, MAX_OPTIONS_CHARS = 200, 65536
MAX_TIMEOUT_MS = 86_400_000
BYTES_OF_A_TOKEN = 3
TRACE = ("request_id", "traceparent")
TRACE_ID = re.compile(r"[\x21-\x7e]{1,200}")
MAX_FRAMES = 64
MODEL_TOKENS = 512
"""Tokens a model reads at most where nothing better is known."""


@dataclass(slots=True)
class Request:
    """A request that passed the checks.

    Attributes:
        id: the caller's name for it.
        op: one of ``MODEL_OPS`` or ``INDEX_OPS``.
        model: name of the model, empty for the operations of the index.
        options: with the server's defaults filled in.
        key: what its rows are merged by.
        items: its rows; None in place of a refused one, or of all where the operation has none.
        costs: estimated tokens of each row.
        row_errors: row to wire error of the refused ones.
        timeout_s: how long somebody waits for it.
        priority: one of ``PRIORITIES``.
        trace: ``request_id`` and ``traceparent`` that it came with, for the log.
    """

    id: str
    op: str
    model: str
    options: dict[str, Any]
    key: Key
    items: list[Any] | None
    costs: list[int]
    row_errors: dict[int, dict[str, Any]]
    timeout_s: float
    priority: str = "normal"
    trace: Mapping[str, str] = field(default_factory=dict)

    @property
    def known_as(self) -> str:
        """What logs call it: the id that it came with from outside, if any."""
        return self.trace.get("request_id", self.id)

    @property
    def whole(self) -> bool:
        """Whether it must not be split or merged."""
        return self.op in INDEX_OPS or not self.costs

    @property
    def retry(self) -> bool:
        """Whether it may run again after a worker was lost."""
        return self.op not in CHANGES_INDEX


def parse(
    message: Message, config: ServerConfig, max_seq_len: Mapping[str, int],
    labels: Mapping[str, str],
) -> Request:  # fmt: skip
    """Check a message and turn it into a request.

    Args:
        message: what the client sent.
        config: limits and defaults of the server.
        max_seq_len: label to the tokens that its model reads of a text, as far as known.
        labels: model to what its workers go by, where that is not its name.

    Raises:
        InvalidRequest: the message says what is wrong and what is accepted.
        NotFound: no such model is served.
    """
    header = message.header
    op = header.get("op")
    if op not in MODEL_OPS and op not in INDEX_OPS:
        raise InvalidRequest(f"op={op!r:.60} is none of {', '.join((*MODEL_OPS, *INDEX_OPS))}")
    model = _model(header, config, op) if op in MODEL_OPS else ""
    options = _options(header, config if op == "encode" else None)
    items = _items(message, op, config.max_request_texts)
    label = labels.get(model, model)
    cap = None if options.get("long") == "window" else max_seq_len.get(label, MODEL_TOKENS)
    costs, row_errors = _weigh(items, config.max_text_chars, cap)
    return Request(
        request_id(header), op, model, options, Key(label, op, _canonical(options, op)), items,
        costs, row_errors, _timeout_s(header, config), _priority(header), _trace(header),
    )  # fmt: skip


def check_size(frames: Sequence[Any], config: ServerConfig) -> None:
    """Check a message before anything of it is read.

    Raises:
        InvalidRequest: it has more frames or bytes than this server takes.
    """
    if not 0 < len(frames) <= MAX_FRAMES:
        raise InvalidRequest(f"a message has 1 to {MAX_FRAMES} frames here, and other ones came")
    size = sum(map(len, frames))
    if size > config.max_message_bytes:
        raise InvalidRequest(
            f"a message of {size} bytes, this server takes {config.max_message_bytes} "
            "(its option --max-message-mb); send fewer texts at once"
        )


def request_id(header: Mapping[str, Any]) -> str:
    """Return the id of a message.

    Raises:
        InvalidRequest: it has none that can be answered.
    """
    found = header.get("id")
    if not isinstance(found, str) or not 0 < len(found) <= MAX_ID_CHARS:
        raise InvalidRequest(f"id: expected 1 to {MAX_ID_CHARS} characters, got {found!r:.60}")
    return found


def _model(header: Mapping[str, Any], config: ServerConfig, op: str) -> str:
    model = header.get("model")
    if op in TASK_OPS:
        return named_task(model, config.task_ops, op)
    if model is None:
        return next(iter(config.models))
    if not isinstance(model, str):
        raise InvalidRequest(f"model: expected a name, got {model!r:.60}")
    if model not in config.models:
        raise NotFound(f"no model {model!r:.60} here; this server has {', '.join(config.models)}")
    return model


def _options(header: Mapping[str, Any], defaults: ServerConfig | None) -> dict[str, Any]:
    options = header.get("options") or {}
    if not isinstance(options, dict):
        raise InvalidRequest(f"options: expected an object, got {options!r:.60}")
    given = {name: value for name, value in options.items() if value is not None}
    return defaults.encode_defaults | given if defaults is not None else given


def _canonical(options: dict[str, Any], op: str) -> str:
    if not options or op in INDEX_OPS:
        return "{}"
    text = json.dumps(options, sort_keys=True, separators=(",", ":"))
    if len(text) > MAX_OPTIONS_CHARS:
        raise InvalidRequest(f"options: {len(text)} characters, at most {MAX_OPTIONS_CHARS}")
    return text


def _items(message: Message, op: str, max_texts: int) -> list[Any] | None:
    items = message.items
    if op == "index_delete":
        return None
    if items is None:
        raise InvalidRequest(f"{op} needs items, the list of texts, and none came")
    if len(items) > max_texts:
        raise InvalidRequest(
            f"{len(items)} texts in one request, this server takes {max_texts}; send several"
        )
    return items


def _timeout_s(header: Mapping[str, Any], config: ServerConfig) -> float:
    timeout_ms = header.get("timeout_ms")
    if timeout_ms is None:
        return config.default_timeout_s
    number = isinstance(timeout_ms, int | float) and not isinstance(timeout_ms, bool)
    if not number or not 0 < timeout_ms <= MAX_TIMEOUT_MS:
        raise InvalidRequest(
            f"timeout_ms: expected a number up to {MAX_TIMEOUT_MS}, got {timeout_ms!r:.60}"
        )
    return float(timeout_ms) / 1000


def _priority(header: Mapping[str, Any]) -> str:
    priority = header.get("priority") or "normal"
    if not isinstance(priority, str) or priority not in PRIORITIES:
        raise InvalidRequest(f"priority={priority!r:.60} is none of {', '.join(PRIORITIES)}")
    return priority


def _trace(header: Mapping[str, Any]) -> dict[str, str]:
    found = {name: header.get(name) for name in TRACE}
    return {
        name: id for name, id in found.items() if isinstance(id, str) and TRACE_ID.fullmatch(id)
    }


def _weigh(
    items: list[Any] | None, max_chars: int, cap: int | None
) -> tuple[list[int], dict[int, dict[str, Any]]]:
    """Estimate each row's tokens; a row that cannot be one is refused and replaced by None."""
    costs, refused = [], {}
    for row, item in enumerate(items or ()):
        try:
            tokens = _size(item, max_chars) // BYTES_OF_A_TOKEN + 2
        except ValueError as error:
            refused[row] = to_wire(InvalidRequest(f"texts[{row}]: {error}"))
            tokens = 2
        costs.append(tokens if cap is None or tokens < cap else cap)
    for row in refused:
        items[row] = None  # type: ignore[index]
    return costs, refused


def _size(item: Any, max_chars: int) -> int:
    """Return the UTF-8 bytes of an item's text.

    Raises:
        ValueError: it is no text, not valid Unicode or too long.
    """
    if isinstance(item, dict) and set(item) == {"ids"}:
        return BYTES_OF_A_TOKEN * _count_ids(item["ids"])
    text = item if isinstance(item, str) else _joined(item)
    if len(text) > max_chars:
        raise ValueError(f"{len(text)} characters, this server takes {max_chars} in one text")
    return len(text) if text.isascii() else len(text.encode())


def _count_ids(ids: Any) -> int:
    if not isinstance(ids, list) or not all(type(i) is int and i >= 0 for i in ids):
        raise ValueError('"ids": expected a list of token ids, whole numbers from 0')
    return len(ids)


def _joined(item: Any) -> str:
    if isinstance(item, dict):
        parts = item.get("words") if set(item) == {"words"} else None
        if set(item) == {"text", "pair"}:
            parts = [item["text"], item["pair"]]
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return " ".join(parts)
    raise ValueError(
        'expected a string, {"text": …, "pair": …}, {"words": […]} or {"ids": […]}, got '
        + (f"{type(item).__name__}" if not isinstance(item, dict) else f"{str(item):.60}")
    )
