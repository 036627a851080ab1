"""How the cores are split among workers."""

import pytest

from splits import splits


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(1, 2), (2, 1)]),
        (6, [(1, 6), (2, 3), (3, 2), (6, 1)]),
    ],
)
def test_every_split_takes_all_cores(cores, expected):
    assert list(splits(cores)) == expected
