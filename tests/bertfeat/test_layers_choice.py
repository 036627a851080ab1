import numpy as np
import pytest

from bertfeat.errors import InputError
from bertfeat.features.layers import resolve_layers


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        (-1, (6,)),
        (0, (0,)),
        ("-1", (6,)),
        ([-4, -3, -2, -1], (3, 4, 5, 6)),
        ("-4:", (3, 4, 5, 6)),
        (":2", (0, 1)),
        ("1:-1", (1, 2, 3, 4, 5)),
        ("all", (0, 1, 2, 3, 4, 5, 6)),
        ("-1,-2", (6, 5)),
        (["-2:", 0], (5, 6, 0)),
        (np.int64(3), (3,)),
        (np.array([1, 2]), (1, 2)),
        ((-7,), (0,)),
    ],
)
def test_layers_are_numbered_from_the_embeddings(choice, numbers):
    assert resolve_layers(choice, 6) == numbers


@pytest.mark.parametrize("choice", [7, -8, "x", 1.5, True, None, [], "3:3", [None], "1,,2"])
def test_anything_else_is_an_error(choice):
    with pytest.raises(InputError, match="layer"):
        resolve_layers(choice, 6)
