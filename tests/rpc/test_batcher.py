"""Calls made at the same moment to a plugin that takes batches: one array, each caller its own
answer, nobody held up long.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from ikdemo.rpc.batcher import MOST, PROMPT, PendingCall
from ikdemo.rpc.client import Client
from ikdemo.rpc.peers import Peers
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import IkdemoError, OutcomeUnknown, ProtocolError, RemoteFailure
from ikdemo.spi.messages import DestroyInstance, Ok, Provision, Provisioned

Answer = Callable[[list[dict[str, Any]]], Awaitable[object]]
"""Given the calls of an array, returns what is answered; None ends the connection instead."""


def reply(call: dict[str, Any], **instead: object) -> dict[str, object]:
    if call["method"] == "Instance.Provision":
        well: object = {"ID": f"made of {call['params']['Spec']['Init'][:9]}"}
    else:
        well = {"OK": True}
    return {"jsonrpc": "2.0", "id": call["id"], **(instead or {"result": well})}


async def all_well(calls: list[dict[str, Any]]) -> object:
    return [reply(call) for call in reversed(calls)]  # in whatever order


class Plugin:
    """A plugin that answers single calls well at once, and arrays as it was told."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path, self.answer = path, answer
        self.asked: list[Any] = []
        self.ended = asyncio.Event()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                self.asked.append(asked)
                told = await self.answer(asked) if isinstance(asked, list) else reply(asked)
                if told is None:
                    break
                body = (
                    told
                    if isinstance(told, bytes)
                    else json.dumps(told, separators=(",", ":")).encode()
                )
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.ended.set()
            writer.close()

    def arrays(self) -> list[int]:
        """Return how many calls stood in each array."""
        return [len(asked) for asked in self.asked if isinstance(asked, list)]


@asynccontextmanager
async def against(
    directory: Path, answer: Answer = all_well
) -> AsyncIterator[tuple[Client, Plugin]]:
    """Give a client to which Provision is known to be prompt, and its plugin."""
    plugin = Plugin(directory / "plugin", answer)
    server = await asyncio.start_unix_server(plugin.converse, plugin.path)
    client = Client(plugin.path)
    try:
        assert await provision(client, "first") == "made of first"
        yield client, plugin
    finally:
        client.close()
        server.close()
        await asyncio.sleep(0)


async def provision(
    client: Client, init: str, *, deadline: float = 5.0, batch: bool = True, reads: bool = False
) -> str | None:
    asked = Provision(InstanceSpec(init=init))
    return (
        await client.call(
            "Instance.Provision", asked, Provisioned, deadline, reads=reads, batch=batch
        )
    ).id


async def several(client: Client, number: int, **how: Any) -> list[Any]:
    """Make so many calls at once and return what each came to: a result or an error."""
    return await asyncio.gather(
        *(provision(client, str(n), **how) for n in range(number)), return_exceptions=True
    )


def test_calls_of_one_moment_are_one_array_and_each_gets_its_own_answer(
    short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        async with against(short_dir) as (client, plugin):
            assert await several(client, 5) == [f"made of {n}" for n in range(5)]
            assert plugin.arrays() == [5]
            assert await provision(client, "alone") == "made of alone"
            assert plugin.arrays() == [5]
            assert all(
                call["jsonrpc"] == "2.0" and call["method"] == "Instance.Provision"
                for call in plugin.asked[1]
            )

    bounded(story())


def test_an_array_is_bounded_in_calls_and_in_bytes(short_dir: Path, bounded: Any) -> None:
    async def story() -> None:
        async with against(short_dir) as (client, plugin):
            assert len(set(await several(client, 2 * MOST + 5))) == 2 * MOST + 5
            assert sorted(plugin.arrays()) == [5, MOST, MOST]
            long = [provision(client, letter * 400_000) for letter in "abcdef"]
            await asyncio.gather(*long)
            assert plugin.arrays()[3:] == [2, 2, 2]

    bounded(story())


def test_a_plugin_without_the_extension_gets_every_call_alone(
    short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        async with against(short_dir) as (client, plugin):
            assert await several(client, 5, batch=False) == [f"made of {n}" for n in range(5)]
            assert plugin.arrays() == []

    bounded(story())


def test_one_refusal_is_its_caller_s_only(short_dir: Path, bounded: Any) -> None:
    async def answer(calls: list[dict[str, Any]]) -> object:
        refusal = {"code": -32000, "message": "no room", "data": {"Retry": "no"}}
        return [
            reply(calls[0]),
            reply(calls[1], error=refusal),
            *(reply(call) for call in calls[2:]),
        ]

    async def story() -> None:
        async with against(short_dir, answer) as (client, _):
            first, second, third = await several(client, 3)
            assert (first, third) == ("made of 0", "made of 2")
            assert isinstance(second, RemoteFailure)
            assert (str(second), second.final) == ("no room", True)

    bounded(story())


REFUSED = {"jsonrpc": "2.0", "error": {"code": -32600, "message": "no arrays"}, "id": None}


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        (REFUSED, RemoteFailure, "no arrays"),
        (
            {"jsonrpc": "2.0", "result": {"ID": "x"}, "id": 2},
            ProtocolError,
            "the answer to a batch is no array",
        ),
        (b"[nonsense", ProtocolError, "plugin plugin: Instance.Provision: the answer is not JSON"),
        (b"", ProtocolError, "the answer is empty"),
        (None, OutcomeUnknown, "the connection broke; it may have happened"),
        ([], OutcomeUnknown, "says nothing of it; it may have happened"),
        (
            [{"jsonrpc": "2.0", "result": {"ID": "x"}, "id": "2"}],
            OutcomeUnknown,
            "says nothing of it",
        ),
        (
            b'[{"result":{"ID":"x"},"id":' + b"9" * 5000 + b"}]",
            OutcomeUnknown,
            "says nothing of it",
        ),
        (b'[{"result":{"ID":"x"},"id":-1}]', OutcomeUnknown, "says nothing of it"),
    ],
)
def test_an_answer_that_is_none_is_everybody_s(
    short_dir: Path, bounded: Any, told: object, kind: type, words: str
) -> None:
    async def answer(calls: list[dict[str, Any]]) -> object:
        return told

    async def story() -> None:
        async with against(short_dir, answer) as (client, plugin):
            outcomes = await several(client, 3)
            assert [type(outcome) for outcome in outcomes] == [kind] * 3
            assert all(words in str(outcome) for outcome in outcomes)
            assert plugin.arrays() == [3]  # nothing that changes the world is sent twice
            assert await provision(client, "next") == "made of next"

    bounded(story())


def test_two_answers_to_one_call_are_none(short_dir: Path, bounded: Any) -> None:
    async def answer(calls: list[dict[str, Any]]) -> object:
        return [
            *(reply(call) for call in calls),
            reply(calls[0]),
            reply(calls[1], result={"ID": "another"}),
        ]

    async def story() -> None:
        async with against(short_dir, answer) as (client, _):
            first, second, third = await several(client, 3)
            assert (first, third) == ("made of 0", "made of 2")  # said twice in the same words
            assert isinstance(second, OutcomeUnknown)

    bounded(story())


def test_what_only_reads_is_asked_again_where_a_kept_connection_broke(
    short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        broken: list[int] = []

        async def answer(calls: list[dict[str, Any]]) -> object:
            broken.append(len(calls))
            return None if len(broken) == 1 else [reply(call) for call in calls]

        async with against(short_dir, answer) as (client, plugin):
            assert await several(client, 3, reads=True) == ["made of 0", "made of 1", "made of 2"]
            assert plugin.arrays() == [3, 3]

    bounded(story())


def test_what_takes_its_time_goes_alone_the_next_time_and_together_once_it_is_prompt_again(
    short_dir: Path, bounded: Any
) -> None:
    async def slowly(calls: list[dict[str, Any]]) -> object:
        await asyncio.sleep(PROMPT * 1.2)
        return [reply(call) for call in calls]

    async def story() -> None:
        async with against(short_dir, slowly) as (client, plugin):
            await several(client, 3)
            await several(client, 3)
            assert plugin.arrays() == [3]
            await several(client, 3)
            assert plugin.arrays() == [3, 3]

    bounded(story())


def test_calls_of_different_methods_do_not_wait_for_each_other(
    short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        ended = asyncio.Event()

        async def answer(calls: list[dict[str, Any]]) -> object:
            if calls[0]["method"] == "Instance.Destroy":
                await ended.wait()
            return [reply(call) for call in calls]

        async def destroy(client: Client) -> Ok:
            return await client.call("Instance.Destroy", DestroyInstance("i"), Ok, 5.0, batch=True)

        async with against(short_dir, answer) as (client, plugin):
            await destroy(client)  # alone, and prompt
            slow = [asyncio.create_task(destroy(client)) for _ in range(2)]
            assert await several(client, 2) == ["made of 0", "made of 1"]
            assert not any(task.done() for task in slow)
            ended.set()
            await asyncio.gather(*slow)
            assert plugin.arrays() == [2, 2]

    bounded(story())


def test_a_caller_that_goes_away_takes_nobody_along(short_dir: Path, bounded: Any) -> None:
    async def story() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def answer(calls: list[dict[str, Any]]) -> object:
            begun.set()
            await ended.wait()
            return [reply(call) for call in calls]

        async with against(short_dir, answer) as (client, _):
            impatient = asyncio.create_task(provision(client, "impatient"))
            hurried = asyncio.create_task(provision(client, "hurried", deadline=0.05))
            patient = asyncio.create_task(provision(client, "patient"))
            await begun.wait()
            impatient.cancel()
            with pytest.raises(
                OutcomeUnknown, match=r"no answer within 0\.05 s; it may have happened"
            ):
                await hurried
            ended.set()
            assert await patient == "made of patient"
            assert impatient.cancelled()

    bounded(story())


def test_when_all_callers_have_gone_away_the_connection_ends(short_dir: Path, bounded: Any) -> None:
    async def story() -> None:
        begun, never = asyncio.Event(), asyncio.Event()

        async def answer(calls: list[dict[str, Any]]) -> object:
            begun.set()
            # held from outside: a task that only waits for itself may be collected
            await never.wait()

        async with against(short_dir, answer) as (client, _):
            waiting = [asyncio.create_task(provision(client, str(n))) for n in range(3)]
            await begun.wait()
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            assert await provision(client, "next") == "made of next"
            assert [task for task in asyncio.all_tasks() if "_ask" in repr(task.get_coro())] == []

    bounded(story())


def test_calls_that_are_answered_are_gone_without_the_collector(
    short_dir: Path, bounded: Any
) -> None:
    """What waits for the collector is thousands of calls with all that they sent, and the process
    keeps the room for them.
    """

    def calls() -> list[PendingCall]:
        return [one for one in gc.get_objects() if isinstance(one, PendingCall)]

    async def story() -> None:
        async with against(short_dir) as (client, plugin):
            gc.collect()
            before = {id(one): one for one in calls()}  # other tests may have left some
            gc.disable()
            try:
                for _ in range(5):
                    assert await several(client, 10) == [f"made of {n}" for n in range(10)]
                assert plugin.arrays() == [10] * 5
                while not {id(one) for one in calls()} <= before.keys():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            finally:
                gc.enable()

    bounded(story())


def test_our_own_plugins_take_arrays_and_a_client_that_is_closed_tells_everybody(
    short_dir: Path, bounded: Any, plugins: Any, serve: Any
) -> None:
    async def story() -> None:
        plugin = plugins.instances()
        async with serve(plugin):
            peers = Peers(short_dir)
            found = (await peers.instance("plugin")).plugin
            await found.provision(InstanceSpec(), "0")
            made = await asyncio.gather(
                *(found.provision(InstanceSpec(Raw(b"{}")), str(slot)) for slot in range(1, 101))
            )
            assert len(set(made)) == 100
            assert {slot for _, slot in plugin.made.values()} == {str(slot) for slot in range(101)}
            plugin.gate.clear()
            plugin.entered.clear()
            hanging = [
                asyncio.create_task(found.provision(InstanceSpec(), str(slot))) for slot in range(3)
            ]
            await plugin.entered.wait()
            await peers.close()
            outcomes = await asyncio.gather(*hanging, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown] * 3
            assert all(isinstance(outcome, IkdemoError) for outcome in outcomes)
            plugin.gate.set()

    bounded(story())
