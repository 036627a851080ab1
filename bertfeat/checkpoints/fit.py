"""Whether the tensors of a file are those that a configuration calls for: one table of all."""

from collections.abc import Mapping

import numpy as np

from bertfeat.errors import TensorMismatch

Shape = tuple[int, ...]
FLOATS = ("float16", "bfloat16", "float32", "float64")


def check_fit(
    stored: Mapping[str, np.ndarray], expected: Mapping[str, Shape], source: object
) -> None:
    """Check that a file holds exactly the expected tensors, as floats.

    Args:
        stored: the file's names and arrays.
        expected: the file's names and the shapes they must have.
        source: names the file in the message.

    Raises:
        TensorMismatch: tensors are missing, unexpected, misshapen or not of a float type.
    """
    problems = [
        (name, str(shape), _found(stored.get(name)))
        for name, shape in expected.items()
        if name not in stored or stored[name].shape != shape or not _is_float(stored[name])
    ]
    problems += [
        (name, "not expected", _found(array))
        for name, array in stored.items()
        if name not in expected
    ]
    if problems:
        raise TensorMismatch(_message(problems, source))


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.name in FLOATS


def _found(array: np.ndarray | None) -> str:
    if array is None:
        return "missing"
    return f"{array.shape}" + ("" if _is_float(array) else f" {array.dtype}")


def _message(problems: list[tuple[str, str, str]], source: object) -> str:
    rows = [("tensor", "expected", "found"), *problems]
    name_width, shape_width = (max(len(row[column]) for row in rows) for column in range(2))
    lines = [f"  {a:<{name_width}}  {b:<{shape_width}}  {c}" for a, b, c in rows]
    return (
        f"{source}: {len(problems)} tensor(s) do not fit the configuration, nothing was loaded\n"
        + "\n".join(lines)
        + "\nCheck that the weights and the configuration beside them belong together"
    )
