"""``encode_stream``: order, bounds, and what happens when either side stops."""

import itertools

import numpy as np
import pytest

from bertfeat_client import RowErrors, TruncationWarning
from bertfeat_client.errors import InvalidRequest, ReplyTimeout
from bertfeat_client.in_process import Later


def texts(count):
    return (f"text number {n}" for n in range(count))


def test_a_stream_gives_the_vectors_that_one_call_gives(client):
    parts = list(client.encode_stream(texts(23), batch_size=3))
    assert [len(part) for part in parts] == [3] * 7 + [2]
    np.testing.assert_array_equal(np.concatenate(parts), client.encode(texts(23)))


def test_replies_that_overtake_each_other_are_put_in_order(client, fake):
    delays = itertools.cycle([3.0, 1.0, 2.0, 0.5])

    def late(request):
        is_encode = request.header["op"] == "encode"
        return [Later(next(delays), fake._encode(request))] if is_encode else None

    fake.instead = late
    found = np.concatenate(list(client.encode_stream(texts(40), batch_size=2)))
    fake.instead = lambda request: None
    np.testing.assert_array_equal(found, client.encode(texts(40)))


def test_an_endless_iterable_is_read_no_further_than_needed(client, fake):
    read = []
    endless = (read.append(n) or f"text {n}" for n in itertools.count())
    fake.instead = lambda request: (
        [Later(len(read), fake._encode(request))] if request.header["op"] == "encode" else None
    )
    stream = client.encode_stream(endless, batch_size=4)
    for number in range(5):
        np.testing.assert_array_equal(next(stream)[0], fake.vector_of(f"text {4 * number}"))
        assert len(read) <= 4 * (number + 4)
    stream.close()
    assert len(fake.cancelled) == 3


def test_several_requests_are_under_way_at_a_time(client, fake):
    under_way, most = set(), 0

    def count(request):
        nonlocal most
        if request.header["op"] != "encode":
            return None
        under_way.add(request.header["id"])
        most = max(most, len(under_way))
        return [Later(1.0, fake._encode(request))]

    fake.instead = count
    for _ in client.encode_stream(texts(40), batch_size=2):
        under_way.pop()
    assert most == 4


def test_a_ready_answer_is_not_held_back_for_the_next_texts(client):
    def source():
        for number in range(4):
            yield f"text {number}"
            assert len(got) >= number

    got = []
    for vectors in client.encode_stream(source(), batch_size=1):
        got.append(vectors)
    assert len(got) == 4


def test_other_calls_may_be_made_between_the_batches(client, fake):
    fake.instead = lambda request: (
        [Later(1.0, fake._encode(request))] if request.header["op"] == "encode" else None
    )
    for number, vectors in enumerate(client.encode_stream(texts(20), batch_size=4)):
        np.testing.assert_array_equal(client.encode("between"), fake.vector_of("between"))
        np.testing.assert_array_equal(vectors[0], fake.vector_of(f"text number {4 * number}"))


def test_the_time_out_counts_for_each_batch_not_for_all(client, fake):
    fake.instead = lambda request: (
        [Later(50.0, fake._encode(request))] if request.header["op"] == "encode" else None
    )
    assert len(list(client.encode_stream(texts(400), batch_size=4))) == 100


def test_a_batch_that_is_never_answered_ends_the_stream(client, fake):
    fake.instead = lambda request: (
        [] if request.items and "text number 8" in request.items else None
    )
    stream = client.encode_stream(texts(400), batch_size=4)
    assert len(next(stream)) == len(next(stream)) == 4
    with pytest.raises(ReplyTimeout):
        next(stream)


def test_row_errors_carry_the_batch_and_name_the_number_in_the_stream(client):
    stream = client.encode_stream(["a", "b", "c", None, "no!"], batch_size=2)
    assert len(next(stream)) == 2
    with pytest.raises(RowErrors) as caught:
        next(stream)
    assert list(caught.value.errors) == [1]
    assert str(caught.value.errors[1]).startswith("texts[3]: expected")
    assert caught.value.vectors.shape == (2, 8)


def test_with_info_a_stream_goes_on_past_bad_rows(client):
    parts = list(client.encode_stream(["a", None, None, "no!"], batch_size=2, return_info=True))
    assert [list(info.errors) for _, info in parts] == [[1], [0, 1]]
    assert str(parts[1][1].errors[1]) == "texts[3]: it shouts"
    assert not parts[1][0].any()


def test_cut_texts_are_told_once_at_the_end(client):
    long = "a b c d e f g"
    with pytest.warns(TruncationWarning, match=r"3 text\(s\).*texts\[2\]") as caught:
        list(client.encode_stream(["a", "b", long, "c", long, long], batch_size=2))
    assert len(caught) == 1


def test_an_empty_stream_yields_nothing(client):
    assert list(client.encode_stream([])) == []


def test_a_bare_string_is_no_stream(client):
    with pytest.raises(InvalidRequest, match="got one string"):
        next(client.encode_stream("text"))


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_a_batch_size_is_a_positive_whole_number(client, size):
    with pytest.raises(InvalidRequest, match="batch_size"):
        next(client.encode_stream(["a"], batch_size=size))
