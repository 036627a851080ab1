"""Results of merged batches come back to each request cut, renumbered and in order."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfeat_client.errors import InternalError, MalformedMessage
from bertfeat_client.protocol import Message, decode_message, encode_message
from bertfeat_server.replies import Reply, cut, repeated


def dense(rows, **header):
    rows = list(rows)
    vectors = np.array([[row, row * 10] for row in rows], np.float32).reshape(-1, 2)
    return Message({"info": {"model": "m"}} | header, arrays={"vectors": vectors})


def ragged(lengths, first=0):
    total = sum(lengths)
    arrays = {
        "lengths": np.array(lengths, np.int32),
        "vectors": np.arange(first, first + total, dtype=np.float32)[:, None],
    }
    items = [[f"t{n}"] * n for n in lengths]
    return Message({"info": {}}, items, arrays, frozenset({"vectors"}))


def bad(text):
    return {"code": "invalid_request", "message": text}


@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=6), order=st.randoms())
@settings(max_examples=60, deadline=None)
def test_pieces_that_come_in_any_order_are_joined_in_the_order_of_rows(counts, order):
    starts = [0, *itertools.accumulate(counts)]
    places = list(zip(starts, starts[1:], strict=False))
    order.shuffle(places)
    reply = Reply(sum(counts), {})
    for start, stop in places:
        assert not reply.complete
        [piece] = cut(dense(range(start, stop)), [stop - start])
        reply.add(start, stop, piece)
    assert reply.complete
    message = decode_message(encode_message(reply.message("x")))
    assert message.arrays["vectors"][:, 0].tolist() == list(range(sum(counts)))
    assert message.header["status"] == "ok"
    assert "row_errors" not in message.header


def test_a_merged_batch_is_cut_into_the_rows_of_each_request():
    pieces = cut(dense(range(6)), [1, 3, 2])
    assert [piece.message.arrays["vectors"][:, 1].tolist() for piece in pieces] == [
        [0], [10, 20, 30], [40, 50]
    ]  # fmt: skip


def test_ragged_rows_are_cut_by_their_lengths():
    first, second = cut(ragged([2, 0, 3]), [2, 1])
    assert first.message.arrays["vectors"][:, 0].tolist() == [0, 1]
    assert second.message.arrays["vectors"][:, 0].tolist() == [2, 3, 4]
    assert (first.message.items, second.message.items) == ([["t2"] * 2, []], [["t3"] * 3])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_rows_of_equal_items_are_each_given_back(wanted):
    distinct = list(dict.fromkeys(wanted))
    places = [distinct.index(n) for n in wanted]
    once, every = ragged(distinct), repeated(ragged(distinct), places)
    starts = np.cumsum([0, *distinct])
    expected = [once.arrays["vectors"][starts[p] : starts[p] + distinct[p]] for p in places]
    np.testing.assert_array_equal(every.arrays["vectors"], np.concatenate(expected))
    assert every.arrays["lengths"].tolist() == wanted
    assert every.items == [[f"t{n}"] * n for n in wanted]
    np.testing.assert_array_equal(
        repeated(dense(distinct), places).arrays["vectors"], dense(wanted).arrays["vectors"]
    )


def test_row_errors_go_to_the_request_and_name_its_own_row():
    result = dense(range(4), row_errors={"2": bad("texts[2]: too long"), "3": bad("no [7] place")})
    first, second = cut(result, [2, 2])
    reply = Reply(12, {})
    reply.add(0, 10, cut(dense(range(10)), [10])[0])
    reply.add(10, 12, second)
    assert first.row_errors == {}
    assert reply.message("x").header["row_errors"] == {
        "10": bad("texts[10]: too long"), "11": bad("no [7] place")
    }  # fmt: skip


def test_a_row_that_the_broker_refused_keeps_the_brokers_words():
    reply = Reply(2, {1: bad("texts[1]: 9 characters too many")})
    [piece] = cut(dense(range(2), row_errors={"1": bad("texts[1]: got NoneType")}), [2])
    reply.add(0, 2, piece)
    assert reply.message("x").header["row_errors"] == {"1": bad("texts[1]: 9 characters too many")}


def test_given_up_rows_are_zero_and_the_others_are_served():
    reply = Reply(3, {})
    reply.add(0, 1, cut(dense([5]), [1])[0])
    reply.refuse(1, 2, InternalError("lost"))
    reply.add(2, 3, cut(dense([7]), [1])[0])
    message = reply.message("x")
    assert message.arrays["vectors"].tolist() == [[5, 50], [0, 0], [7, 70]]
    assert message.header["row_errors"] == {"1": {"code": "internal_error", "message": "lost"}}


def test_given_up_ragged_rows_have_no_tokens():
    reply = Reply(2, {})
    reply.refuse(0, 1, InternalError("lost"))
    reply.add(1, 2, cut(ragged([2], first=4), [1])[0])
    message = reply.message("x")
    assert message.arrays["lengths"].tolist() == [0, 2]
    assert message.arrays["vectors"][:, 0].tolist() == [4, 5]
    assert message.items == [[], ["t2", "t2"]]


def test_a_piece_of_which_every_row_failed_takes_the_shape_of_the_others():
    """Such a piece may not know how many labels there are."""
    reply = Reply(2, {})
    failed = Message(
        {"info": {}, "row_errors": {"0": bad("no")}}, arrays={"scores": np.zeros((1, 0))}
    )
    served = Message({"info": {}}, arrays={"scores": np.ones((1, 3))})
    reply.add(0, 1, cut(failed, [1])[0])
    reply.add(1, 2, cut(served, [1])[0])
    assert reply.message("x").arrays["scores"].tolist() == [[0, 0, 0], [1, 1, 1]]


def test_a_request_of_which_nothing_was_computed_is_an_error():
    reply = Reply(2, {})
    reply.refuse(0, 2, InternalError("lost"))
    header = reply.message("x").header
    assert (header["status"], header["error"]["message"]) == ("error", "lost")


def test_a_request_whose_rows_all_failed_by_themselves_is_rows_of_errors():
    reply = Reply(1, {})
    reply.add(0, 1, cut(dense([0], row_errors={"0": bad("no")}), [1])[0])
    header = reply.message("x").header
    assert (header["status"], header["row_errors"]) == ("ok", {"0": bad("no")})


def test_a_request_without_rows_has_arrays_without_rows():
    reply = Reply(0, {})
    reply.add(0, 0, cut(dense([]), [0])[0])
    assert reply.complete
    assert reply.message("x").arrays["vectors"].shape == (0, 2)


@pytest.mark.parametrize(
    "result",
    [
        dense(range(3)),
        ragged([1, 1, 1]),
        Message({}, arrays={"vectors": np.float32(3)}),
        Message({}, ["one"], {}),
        Message({}, arrays={"lengths": np.array([1, 5]), "v": np.ones(3)}, ragged=frozenset("v")),
        Message({}, arrays={"lengths": np.array([-1, 4]), "v": np.ones(3)}, ragged=frozenset("v")),
        Message({}, arrays={"v": np.ones(2)}, ragged=frozenset("v")),
    ],
)
def test_a_result_with_other_rows_than_asked_for_is_not_trusted(result):
    with pytest.raises(MalformedMessage):
        cut(result, [2])
