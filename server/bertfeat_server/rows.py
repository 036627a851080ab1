"""Between the rows of the wire and those of the library: items, tokens, errors, ragged arrays."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bertfeat_client.errors import InternalError, to_wire
from bertfeat_client.protocol import Message
from bertfeat_server.wire_errors import translate

logger = logging.getLogger(__name__)


def token_lists(encoding: Any, specials: bool) -> dict[str, list[Any]]:
    """Return what is told of a text's tokens, as JSON can hold it."""
    columns = {
        "ids": encoding.input_ids, "tokens": encoding.tokens, "offsets": encoding.offsets,
        "special": encoding.special_tokens_mask,
    }  # fmt: skip
    kept = [specials or not special for special in encoding.special_tokens_mask]
    return {
        name: [value for value, keep in zip(values, kept, strict=True) if keep]
        for name, values in columns.items()
    }


def to_item(item: Any) -> Any:
    """Turn an item of the wire into one of the library: a string, pair, word list or token ids."""
    if not isinstance(item, dict):
        return item
    if "ids" in item:
        # here, as the commands import this file and need no tokenizer
        from bertfeat.tokenization.token_ids import TokenIds

        return TokenIds(item["ids"])
    return list(item["words"]) if "words" in item else (item["text"], item["pair"])


def wire_row_errors(errors: Mapping[int, Exception]) -> dict[str, dict[str, Any]]:
    """Return the wire's form of row errors; surprises are logged and not told."""
    found = {}
    for row, error in errors.items():
        known = translate(error)
        if known is None:
            logger.error("row %d of a batch failed", row, exc_info=error)
            known = InternalError(f"the worker failed with {type(error).__name__}")
        found[str(row)] = to_wire(known)
    return found


def put_ragged(message: Message, lists: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Put arrays of one row for each token into a message, with how many each text has."""
    rows: Iterable[np.ndarray] = lists["vectors"]
    message.arrays["lengths"] = np.array([len(row) for row in rows], np.int32)
    for name, arrays in lists.items():
        message.arrays[name] = np.concatenate(arrays) if arrays else np.zeros((0, 0), np.float32)
    message.ragged = frozenset(lists)


def word_numbers(word_ids: Sequence[int | None]) -> np.ndarray:
    """Return the words' numbers, int32 (tokens,), -1 for special tokens."""
    return np.array([-1 if number is None else number for number in word_ids], np.int32)
