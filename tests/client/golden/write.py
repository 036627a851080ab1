"""Writes the frames of this version's messages: ``python tests/client/golden/write.py``.

Run once for each version of the protocol, when it is released; files of released versions never
change.
"""

import base64
import json
from pathlib import Path

import numpy as np

from bertfeat_client.protocol import VERSION, Message, encode_message

INFO = {"model": "m", "precision": "float32", "model_hash": "0" * 64}
ONE = {"num_tokens": np.array([3], np.int32), "truncated": np.array([False])}
MESSAGES = {
    "encode": Message(
        {"op": "encode", "id": "1", "timeout_ms": 60000, "model": None, "options": {"layers": -2}},
        ["a text", {"text": "a", "pair": "b"}, {"words": ["a", "b"]}, {"ids": [101, 102]}, "第三"],
    ),
    "encode with keys of 1.1": Message(
        {
            "op": "encode", "id": "5", "timeout_ms": 60000, "model": None, "options": {},
            "key": "an API key of a caller", "priority": "low", "caller": "http 10.0.0.1",
            "request_id": "r-1", "traceparent": "00-4bf9-00f0-01",
        },
        ["a text"],
    ),
    "unauthorized": Message({
        "id": "5", "status": "error", "error": {"code": "unauthorized", "message": "a key, please"},
    }),
    "tokens": Message({"op": "tokens", "id": "2", "options": {}}, ["a text"]),
    "info": Message({"op": "info", "id": "3"}),
    "cancel": Message({"op": "cancel", "id": "1"}),
    "vectors": Message(
        {"id": "1", "status": "ok", "info": INFO}, None,
        {"vectors": np.array([[0.5, -1.0]], np.float32), **ONE},
    ),
    "bfloat16": Message(
        {"id": "1", "status": "ok", "info": INFO}, None,
        {"vectors": np.array([[0x3F00, 0xBF80]], np.uint16), **ONE},
        bfloat16=frozenset({"vectors"}),
    ),
    "int8 of no rows": Message(
        {"id": "1", "status": "ok", "info": INFO}, None, {"vectors": np.zeros((0, 4), np.int8)},
    ),
    "neighbours": Message(
        {"id": "4", "status": "ok", "info": {}},
        [[{"id": 7, "text": "a text", "metadata": {"page": 3}}]],
        {"scores": np.array([[0.25]], np.float32), "ids": np.array([[7]], np.int64)},
    ),
    "ragged": Message(
        {"id": "2", "status": "ok", "info": INFO}, [["[CLS]", "a", "[SEP]"]],
        {
            "lengths": np.array([3], np.int32), "vectors": np.ones((3, 1, 2), np.float32),
            "offsets": np.array([[0, 0], [0, 1], [0, 0]], np.int32),
            "word_ids": np.array([-1, 0, -1], np.int32), **ONE,
        },
        frozenset({"vectors", "offsets", "word_ids"}),
    ),
    "row errors": Message(
        {
            "id": "1", "status": "ok", "info": INFO,
            "row_errors": {"0": {"code": "invalid_request", "message": "texts[0]: is bad"}},
        },
        None, {"vectors": np.zeros((1, 2), np.float32), **ONE},
    ),
    "overloaded": Message({
        "id": "1", "status": "error",
        "error": {"code": "overloaded", "message": "full", "retry_after_s": 0.5},
    }),
}  # fmt: skip


def plain(message: Message) -> dict:
    """What a message means, as JSON can hold it."""
    return {
        "header": message.header,
        "items": message.items,
        "arrays": {
            name: {
                "dtype": array.dtype.name,
                "shape": list(array.shape),
                "values": array.reshape(-1).tolist(),
            }
            for name, array in message.arrays.items()
        },
        "ragged": sorted(message.ragged),
        "bfloat16": sorted(message.bfloat16),
    }


def message_of(means: dict) -> Message:
    """The message that :func:`plain` told of."""
    arrays = {
        name: np.array(array["values"], array["dtype"]).reshape(array["shape"])
        for name, array in means["arrays"].items()
    }
    marks = (frozenset(means[kind]) for kind in ("ragged", "bfloat16"))
    return Message(dict(means["header"]), means["items"], arrays, *marks)


def main() -> None:
    """Write the file of this version."""
    told = {
        name: {
            "frames": [base64.b64encode(bytes(f)).decode() for f in encode_message(message)],
            "means": plain(message),
        }
        for name, message in MESSAGES.items()
    }
    path = Path(__file__).parent / f"{VERSION[0]}.{VERSION[1]}.json"
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
