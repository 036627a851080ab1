"""The errors: each has its place in the tree, its code on the wire, and survives pickling."""

import pickle
import re

import numpy as np
import pytest

from bertfeat_client import errors
from bertfeat_client.errors import (
    SERVER_ERRORS,
    ClientError,
    InternalError,
    Overloaded,
    RowErrors,
    ServerError,
    from_wire,
    to_wire,
)

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ClientError)
]


def test_every_server_error_has_a_code_of_its_own_in_the_table():
    leaves = [kind for kind in KINDS if issubclass(kind, ServerError) and kind is not ServerError]
    assert set(SERVER_ERRORS.values()) == set(leaves)
    assert all(SERVER_ERRORS[kind.code] is kind for kind in leaves)


def test_the_tree_at_the_top_of_the_file_names_every_error_with_its_bases():
    tree = errors.__doc__
    for kind in KINDS:
        assert re.search(rf"\b{kind.__name__}\b", tree)
        for base in kind.__bases__:
            if not issubclass(base, ClientError) and base is not Exception:
                assert f"{kind.__name__} ({base.__name__})" in tree


@pytest.mark.parametrize("kind", SERVER_ERRORS.values())
def test_an_error_comes_over_the_wire_as_it_was(kind):
    back = from_wire(to_wire(kind("what happened", retry_after_s=1.5)), "request 1")
    assert type(back) is kind
    assert (str(back), back.request_id, back.retry_after_s) == ("what happened", "request 1", 1.5)
    assert "retry_after_s" not in to_wire(kind("what happened"))


@pytest.mark.parametrize("told", [None, [], "boom", {}, {"code": 3}, {"code": "new in 1.7"}])
def test_what_is_not_understood_is_an_internal_error(told):
    assert type(from_wire(told)) is InternalError


def test_a_pause_that_is_no_number_is_no_pause():
    assert from_wire({"code": "overloaded", "retry_after_s": "soon"}).retry_after_s is None


def test_errors_survive_pickling():
    one = pickle.loads(pickle.dumps(Overloaded("full", "request 1", 2.0)))
    assert (str(one), one.request_id, one.retry_after_s) == ("full", "request 1", 2.0)
    rows = pickle.loads(pickle.dumps(RowErrors({3: one}, np.ones(2))))
    assert list(rows.errors) == [3] and isinstance(rows.errors[3], Overloaded)
    np.testing.assert_array_equal(rows.vectors, [1, 1])
    assert str(rows).startswith("1 row(s) failed, the first is row 3: full")


@pytest.mark.parametrize("name", ["ConnectTimeout", "ReplyTimeout", "DeadlineExceeded"])
def test_time_outs_are_timeout_errors(name):
    assert issubclass(getattr(errors, name), TimeoutError)
