"""Files of answers under the names that Google's run_squad.py gives them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.tasks.span_answers import Answers

PREDICTIONS, NBEST, NULL_ODDS = "predictions.json", "nbest_predictions.json", "null_odds.json"
FIELDS = ("text", "probability", "start_logit", "end_logit")


def write_answers(
    folder: Path, ids: Sequence[str], found: Sequence[Answers], *, has_null: bool
) -> None:
    """Write ``predictions.json``, ``nbest_predictions.json`` and, with `has_null`, the odds."""
    rows = list(zip(ids, found, strict=True))
    files: dict[str, dict[str, Any]] = {
        PREDICTIONS: {name: one.best.text for name, one in rows},
        NBEST: {
            name: [{field: getattr(c, field) for field in FIELDS} for c in one.candidates]
            for name, one in rows
        },
    }
    if has_null:
        files[NULL_ODDS] = {name: one.null_odds for name, one in rows}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with whole_file(folder / name) as path:
            text = json.dumps(content, indent=4, ensure_ascii=False, allow_nan=False)
            path.write_text(text + "\n", "utf-8")
