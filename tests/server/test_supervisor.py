"""What the supervisor decides, without processes."""

import pytest

from bertfeat_server.ask import port_of, reachable
from bertfeat_server.processes import describe_exit
from bertfeat_server.settings.security import is_public
from bertfeat_server.slots import LONGEST_DELAY_S, restart_delay_s


def test_a_first_accident_is_repaired_at_once_and_further_ones_ever_more_slowly():
    delays = [restart_delay_s(failures) for failures in range(1, 12)]
    assert delays[:5] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == LONGEST_DELAY_S
    assert restart_delay_s(10_000) == LONGEST_DELAY_S


@pytest.mark.parametrize(
    ("code", "said"),
    [(-9, "was killed (signal 9), perhaps because memory ran out"), (-11, "was ended by signal 11"),
     (3, "exited with code 3")],
)  # fmt: skip
def test_an_end_is_told_in_words(code, said):
    assert describe_exit(code) == said


@pytest.mark.parametrize(
    ("endpoint", "where", "port", "public"),
    [
        ("tcp://0.0.0.0:5557", "tcp://127.0.0.1:5557", 5557, True),
        ("tcp://[::]:5557", "tcp://[::1]:5557", 5557, True),
        ("tcp://192.168.1.2:99", "tcp://192.168.1.2:99", 99, True),
        ("tcp://*:5557", "tcp://127.0.0.1:5557", 5557, True),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", None, False),
        ("tcp://localhost:1", "tcp://localhost:1", 1, False),
        ("tcp://[::1]:1", "tcp://[::1]:1", 1, False),
        ("ipc:///run/x.ipc", "ipc:///run/x.ipc", None, False),
    ],
)
def test_endpoints_are_understood(endpoint, where, port, public):
    assert (reachable(endpoint), is_public(endpoint)) == (where, public)
    if ":*" not in endpoint:
        assert port_of(endpoint) == port
