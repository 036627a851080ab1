"""Where results go: a part of a benchmark does not take the place of the whole."""

import json
import sys
from pathlib import Path
from typing import Any


def save(results: dict[str, Any], asked: Path | None, usual: Path, is_whole: bool) -> None:
    """Write results to the file that was asked for, else to the usual one if they are whole."""
    output = asked or (usual if is_whole else None)
    if output is None:
        print("not saved, being a part: --output FILE saves it", file=sys.stderr)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"saved to {output}", file=sys.stderr)
