"""Every call ends: time-outs, refusals, lost connections, cancelled requests, on virtual time."""

import pytest

from bertfeat_client import Client
from bertfeat_client.errors import (
    ClientClosed,
    ConnectionLost,
    ConnectTimeout,
    Forbidden,
    InternalError,
    InvalidRequest,
    MalformedMessage,
    Overloaded,
    ReplyTimeout,
    ShuttingDown,
    VersionMismatch,
)
from bertfeat_client.in_process import InProcess, Later
from bertfeat_client.protocol import MAGIC, Message, encode_message


def only(op, answer):
    """Answer one operation so and leave the others."""
    return lambda request: answer(request) if request.header["op"] == op else None


def test_texts_are_not_added_twice_when_the_servers_workers_differ(client, fake):
    def answer(request):
        reply = fake._index_add(request)
        reply.header["info"] = {"model_hash": str(len(fake.requests))}
        return [reply]

    fake.instead = only("index_add", answer)
    texts = [f"text {number}" for number in range(12)]
    client.index_add(texts)
    sent = [r.items for r in fake.requests if r.header["op"] == "index_add"]
    assert len(sent) > 1 and [text for items in sent for text in items] == texts


def test_a_request_that_is_not_answered_ends_at_its_time_and_is_cancelled(client, fake, transport):
    fake.instead = only("encode", lambda request: [])
    with pytest.raises(ReplyTimeout, match=r"did not answer encode within 60 s"):
        client.encode("a")
    assert transport.time == 60
    assert fake.cancelled == [fake.requests[-1].header["id"]]


def test_reply_timeout_is_a_timeout_error(client, fake):
    fake.instead = only("encode", lambda request: [])
    with pytest.raises(TimeoutError):
        client.encode("a")


def test_a_late_answer_of_an_abandoned_request_disturbs_nobody(client, fake):
    fake.instead = only("encode", lambda request: [Later(61, fake._encode(request))])
    with pytest.raises(ReplyTimeout):
        client.encode("a")
    fake.instead = only("encode", lambda request: [Later(5, fake._encode(request))])
    assert (client.encode("b") == fake.vector_of("b")).all()


def test_an_answer_just_before_the_deadline_counts(client, fake):
    fake.instead = only("encode", lambda request: [Later(59.9, fake._encode(request))])
    assert client.encode("a").shape == (8,)


def test_all_requests_of_a_call_share_its_time(client, fake, transport):
    fake.instead = only("encode", lambda request: [Later(10, fake._encode(request))])
    with pytest.raises(ReplyTimeout):
        client.encode(["a"] * 4 * 4 * 7)
    assert transport.time == 60


def test_calls_of_several_steps_share_one_deadline(client, fake, transport):
    fake.instead = only("encode", lambda request: [Later(40, fake._encode(request))])
    with pytest.raises(ReplyTimeout):
        client.rerank("query", ["a", "b"])
    assert transport.time == 60


def test_the_server_is_told_how_much_time_is_left(client, fake, transport):
    fake.instead = only("info", lambda request: [Later(20, fake._info(request))])
    client.encode("a")
    told = {request.header["op"]: request.header["timeout_ms"] for request in fake.requests}
    assert told == {"info": 60_000, "encode": 40_000}


def test_a_server_that_never_answered_anything_is_a_connect_timeout():
    client = Client(transport=InProcess(lambda request: []), timeout_s=3)
    with pytest.raises(ConnectTimeout, match=r"no server answered at in-process within 3 s"):
        client.info()


def test_a_server_that_is_not_there_is_a_connect_timeout(client, transport):
    transport.disconnect()
    with pytest.raises(ConnectTimeout, match="it was disconnected"):
        client.encode("a")
    assert transport.time == 60


def test_an_overloaded_server_is_asked_again_until_it_takes_the_request(client, fake, transport):
    def refuse(request):
        refusals.append(transport.time)
        if len(refusals) <= 3:
            return [fake.refusal(request, "overloaded", retry_after_s=2)]
        return None

    refusals = []
    fake.instead = only("encode", refuse)
    assert (client.encode("a") == fake.vector_of("a")).all()
    pauses = [after - before for before, after in zip(refusals, refusals[1:], strict=False)]
    assert len(pauses) == 3 and all(2 <= pause <= 3 for pause in pauses)


@pytest.mark.parametrize(
    ("code", "kind"), [("overloaded", Overloaded), ("shutting_down", ShuttingDown)]
)
def test_a_server_that_keeps_refusing_ends_the_call_with_its_own_words(
    client, fake, transport, code, kind
):
    fake.instead = only("encode", lambda request: [fake.refusal(request, code)])
    with pytest.raises(kind, match="said the server"):
        client.encode("a")
    assert 45 < transport.time <= 60


def test_refusals_of_some_requests_keep_the_rows_in_order(client, fake):
    refused = set()

    def refuse_once(request):
        if request.header["id"] in refused:
            return None
        refused.add(request.header["id"])
        return [fake.refusal(request, "overloaded")] if len(refused) % 2 else None

    fake.instead = only("encode", refuse_once)
    texts = [f"text {n}" for n in range(30)]
    vectors = client.encode(texts)
    assert all((vectors[n] == fake.vector_of(text)).all() for n, text in enumerate(texts))


def test_requests_under_way_are_sent_again_when_the_server_comes_back(client, fake, transport):
    def vanish(request):
        if not vanished:
            vanished.append(request.header["id"])
            transport.disconnect()
            transport.connect(1)
            return []
        return None

    vanished = []
    fake.instead = only("encode", vanish)
    texts = [f"text {n}" for n in range(10)]
    vectors = client.encode(texts)
    assert (vectors[0] == fake.vector_of("text 0")).all()
    ids = [request.header["id"] for request in fake.requests if request.items]
    assert ids.count(vanished[0]) == 2
    assert transport.time == 0


@pytest.mark.parametrize("look", [1, 2])
def test_a_connection_that_comes_about_while_sending_is_used(client, fake, transport, look):
    def connect_while_looking():
        looks.append(len(looks))
        if len(looks) == look:
            transport.connect(0)
        return receive()

    client.info()
    transport.disconnect()
    looks, receive = [], transport.channels[0].receive
    transport.channels[0].receive = connect_while_looking
    assert client.status()["ready"]
    assert transport.time == 0


def test_limits_are_asked_for_again_after_a_reconnect(client, fake, transport):
    client.encode("a")
    transport.disconnect()
    transport.connect(1)
    fake.info["limits"]["max_request_texts"] = 2
    client.encode(["a"] * 4)
    client.encode(["a"] * 4)
    assert fake.ops()[:3] == ["info", "encode", "info"] or fake.ops().count("info") == 2
    assert [len(request.items) for request in fake.requests[-2:]] == [2, 2]


def test_a_deletion_is_not_repeated_when_the_connection_breaks(client, fake, transport):
    def vanish(request):
        fake._index_delete(request)
        transport.disconnect()
        transport.connect(1)
        return []

    client.index_add(["a", "b"])
    fake.instead = only("index_delete", vanish)
    with pytest.raises(ConnectionLost, match="may or may not have been done"):
        client.index_delete([0])
    assert fake.ops().count("index_delete") == 1 and list(fake.index) == [1]


def test_an_addition_is_repeated_under_the_name_that_it_had(client, fake, transport):
    def vanish(request):
        if fake.ops().count("index_add") > 1:
            return None
        fake._index_add(request)
        transport.disconnect()
        transport.connect(1)
        return []

    fake.instead = only("index_add", vanish)
    assert client.index_add(["a", "b"]).tolist() == [0, 1]
    first, second = [r for r in fake.requests if r.header["op"] == "index_add"]
    assert first.header["options"]["request_id"] == second.header["options"]["request_id"]
    assert len(fake.index) == 2


def test_an_addition_that_was_refused_is_tried_again(client, fake):
    def refuse(request):
        return [fake.refusal(request, "overloaded")] if fake.ops().count("index_add") == 1 else None

    fake.instead = only("index_add", refuse)
    client.index_add(["a"])
    assert len(fake.index) == 1


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ([b"hello"], MalformedMessage),
        ([], MalformedMessage),
        ([b"HTTP/1.1 400 Bad Request\r\n"], MalformedMessage),
        ([MAGIC + b"\x02{}"], VersionMismatch),
        ([MAGIC + b"\x01[]"], MalformedMessage),
    ],
)
def test_frames_of_another_protocol_end_the_call_at_once(frames, kind):
    transport = InProcess(lambda request: [frames])
    client = Client(transport=transport, timeout_s=60)
    with pytest.raises(kind):
        client.encode("a")
    assert transport.time == 0


def test_a_reply_whose_body_is_broken_ends_its_own_request(client, fake):
    def broken(request):
        return [encode_message(fake._encode(request))[:-1]]

    fake.instead = only("encode", broken)
    with pytest.raises(MalformedMessage, match="frames came"):
        client.encode("a")


def test_an_error_without_an_id_ends_the_call(client, fake):
    answer = Message(
        {
            "id": None,
            "status": "error",
            "error": {"code": "invalid_request", "message": "no request"},
        }
    )
    fake.instead = only("encode", lambda request: [answer])
    with pytest.raises(InvalidRequest, match="no request"):
        client.encode("a")


@pytest.mark.parametrize("error", [None, "boom", {"code": "never heard of", "message": "boom"}])
def test_an_error_of_an_unknown_kind_is_an_internal_error(client, fake, error):
    fake.instead = only(
        "encode",
        lambda request: [Message({"id": request.header["id"], "status": "error", "error": error})],
    )
    with pytest.raises(InternalError, match="boom|None"):
        client.encode("a")


def test_answers_to_unknown_requests_are_ignored(client, fake):
    def both(request):
        return [Message({"id": "another", "status": "ok"}), fake._encode(request)]

    fake.instead = only("encode", both)
    assert client.encode("a").shape == (8,)


def test_an_interrupted_call_is_cancelled(client, fake, transport):
    def interrupt(request):
        if request.header["op"] == "encode":
            transport.channels[0].wait = stop
            return []
        return None

    async def stop(waiter, seconds):
        raise KeyboardInterrupt

    fake.instead = interrupt
    with pytest.raises(KeyboardInterrupt):
        client.encode("a")
    assert fake.cancelled == [fake.requests[-1].header["id"]]


def test_a_closed_client_says_so(client, transport):
    stream = client.encode_stream(["a"] * 100, batch_size=1)
    next(stream)
    client.close()
    for call in (client.info, lambda: client.encode("a"), lambda: next(stream)):
        with pytest.raises(ClientClosed):
            call()
    assert transport.closed
    client.close()


def test_stop_passes_the_token_and_tells_of_a_wrong_one(client):
    with pytest.raises(Forbidden):
        client.stop("guess")
    assert client.stop("secret") is None


def test_info_and_status_are_what_the_server_says_now(client, fake):
    assert client.info() == fake.info
    fake.info["version"] = "0.2.0"
    assert client.info()["version"] == "0.2.0"
    assert client.status() == {"ready": True, "workers": []}
