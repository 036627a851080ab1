"""Processes killed and stopped under load: every call ends well or with an error, in time.

``BERTFEAT_CHAOS_S`` is how long it lasts; ``make chaos`` sets ten minutes.
"""

import os

import psutil
import pytest
from chaos import Chaos

SECONDS = float(os.environ.get("BERTFEAT_CHAOS_S", "40"))
pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(SECONDS + 240),
    pytest.mark.filterwarnings("ignore::bertfeat_client.TruncationWarning"),
]  # fmt: skip


def test_nothing_is_wrong_nothing_hangs_and_nothing_is_left(start, wait_for):
    server = start("--port", "0", "--workers", "2", "--max-text-chars", "10000", "--quiet")
    chaos = Chaos(server)
    chaos.run(SECONDS, callers=32)
    print("\n", dict(chaos.outcomes), f"slope {chaos.slope(min(60, SECONDS / 2)):.1f} MB/min")
    assert chaos.wrong == []
    calls = {name: n for name, n in chaos.outcomes.items() if "SIG" not in name}
    assert calls["ok"] > sum(calls.values()) / 2
    wait_for(lambda: server.status()["ready"])
    assert server.end() == 0
    assert [pid for pid in chaos.pids if psutil.pid_exists(pid)] == []
    assert [path.name for path in server.folder.rglob("*.ipc")] == []
