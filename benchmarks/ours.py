"""Our own commands, as users type them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_ours(*command: Any) -> dict[str, Any]:
    """Run ``bertfeat`` quietly; return the JSON that the last line of its output is."""
    program = str(Path(sys.executable).with_name("bertfeat"))
    done = subprocess.run(
        [program, *map(str, command), "--quiet"], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
