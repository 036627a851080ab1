"""The awaited client: the same calls, many at once."""

import asyncio
import inspect

import numpy as np
import pytest

from bertfeat_client import AsyncClient, Client, TruncationWarning
from bertfeat_client.errors import ClientClosed, ReplyTimeout

PUBLIC = [name for name in vars(Client) if not name.startswith("_")]


def run(coroutine, timeout_s=30):
    return asyncio.run(asyncio.wait_for(coroutine, timeout_s))


@pytest.mark.parametrize("name", PUBLIC)
def test_both_clients_have_the_same_calls_with_the_same_words(name):
    ours, theirs = getattr(Client, name), getattr(AsyncClient, name, None)
    if isinstance(ours, property):
        return
    assert theirs is not None
    assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters
    assert ours.__doc__ == theirs.__doc__ and ours.__doc__
    if name == "with_header":
        return
    is_awaited = inspect.iscoroutinefunction(theirs) or inspect.isasyncgenfunction(theirs)
    assert is_awaited and not inspect.iscoroutinefunction(ours)


def test_the_awaited_client_has_no_call_that_the_blocking_one_lacks():
    calls = [name for name in dir(AsyncClient) if not name.startswith("_")]
    assert set(calls) <= set(PUBLIC) | {"timeout_s", "max_in_flight"}


def test_calls_are_awaited(async_client, fake):
    async def main():
        vectors = await async_client.encode(["a", "b"])
        features = await async_client.tokens("one two")
        parts = [part async for part in async_client.encode_stream(["a"] * 9, batch_size=4)]
        ranking = await async_client.rerank("a", ["b", "a"])
        return vectors, features, parts, ranking

    vectors, features, parts, ranking = run(main())
    np.testing.assert_array_equal(vectors[1], fake.vector_of("b"))
    assert features.tokens == ["[CLS]", "one", "two", "[SEP]"]
    assert [len(part) for part in parts] == [4, 4, 1]
    assert ranking[0].document == 1


def test_a_stream_takes_an_asynchronous_iterable(async_client, fake):
    async def source():
        for number in range(11):
            await asyncio.sleep(0)
            yield f"text {number}"

    async def main():
        return [part async for part in async_client.encode_stream(source(), batch_size=3)]

    parts = run(main())
    assert [len(part) for part in parts] == [3, 3, 3, 2]
    np.testing.assert_array_equal(parts[3][1], fake.vector_of("text 10"))


def test_truncation_is_told_at_the_line_that_awaits(async_client):
    async def main():
        await async_client.encode("a b c d e f g h")

    with pytest.warns(TruncationWarning) as caught:
        run(main())
    assert caught[0].filename == __file__


def test_many_calls_at_once_each_get_their_own_answer(router, fake):
    async def main():
        async with AsyncClient(router.endpoint, timeout_s=20) as client:
            calls = (client.encode([f"text {n}", f"other {n}"]) for n in range(200))
            return await asyncio.gather(*calls)

    for number, vectors in enumerate(run(main())):
        np.testing.assert_array_equal(vectors[0], fake.vector_of(f"text {number}"))
        np.testing.assert_array_equal(vectors[1], fake.vector_of(f"other {number}"))
    assert fake.ops().count("info") == 1


def test_other_tasks_run_while_a_call_waits(router, fake):
    fake.instead = lambda request: [] if request.header["op"] == "encode" else None

    async def main():
        async with AsyncClient(router.endpoint, timeout_s=0.5) as client:
            ticks = 0
            call = asyncio.ensure_future(client.encode("a"))
            while not call.done():
                await asyncio.sleep(0.01)
                ticks += 1
            with pytest.raises(ReplyTimeout):
                await call
            return ticks

    assert run(main()) > 10


def test_a_cancelled_call_is_cancelled_on_the_server(router, fake):
    fake.instead = lambda request: [] if request.header["op"] == "encode" else None

    async def main():
        async with AsyncClient(router.endpoint, timeout_s=20) as client:
            await client.info()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.encode("a"), 0.3)
            await client.status()

    run(main())
    assert fake.cancelled == [r.header["id"] for r in fake.requests if r.header["op"] == "encode"]


def test_closing_ends_the_calls_that_wait(router, fake):
    fake.instead = lambda request: [] if request.header["op"] == "encode" else None

    async def main():
        client = AsyncClient(router.endpoint, timeout_s=20)
        await client.info()
        call = asyncio.ensure_future(client.encode("a"))
        await asyncio.sleep(0.1)
        await client.close()
        with pytest.raises(ClientClosed):
            await call

    run(main(), 5)


def test_a_server_restart_is_survived_by_all_calls_under_way(router, fake):
    held = []

    def hold(request):
        if request.header["op"] != "encode" or len(held) >= 50:
            return None
        held.append(request)
        return []

    fake.instead = hold

    async def main():
        async with AsyncClient(router.endpoint, timeout_s=20) as client:
            calls = asyncio.gather(*(client.encode(f"text {n}") for n in range(50)))
            while len(held) < 50:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(router.stop)
            router.start()
            return await calls

    for number, vector in enumerate(run(main())):
        np.testing.assert_array_equal(vector, fake.vector_of(f"text {number}"))


def test_one_client_serves_one_event_loop_after_another(router, fake):
    client = AsyncClient(router.endpoint, timeout_s=20)
    for number in range(3):
        found = run(client.encode(f"text {number}"))
        np.testing.assert_array_equal(found, fake.vector_of(f"text {number}"))
    assert len(client._lines._lines) == 1
    run(client.close())


def test_a_loop_that_cannot_watch_sockets_is_served_too(router, fake, monkeypatch):
    def refuse(self, *arguments):
        raise NotImplementedError

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", refuse)

    async def main():
        async with AsyncClient(router.endpoint, timeout_s=20) as client:
            return await asyncio.gather(*(client.encode(f"text {n}") for n in range(20)))

    for number, vector in enumerate(run(main())):
        np.testing.assert_array_equal(vector, fake.vector_of(f"text {number}"))
