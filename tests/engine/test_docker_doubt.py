"""What an engine says when it is unwell is never taken for an empty world; only its own word ends
an instance.

The engine is a small server of the test's own that speaks Docker's API, so none of these tests
needs a real one.
"""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from msgspec import UNSET, Raw

from ikdemo.engine import calls
from ikdemo.instance.container_labels import SLOT, Labels
from ikdemo.instance.docker import provisioning
from ikdemo.instance.docker.engine_watch import _has_init
from ikdemo.instance.docker.labels import MARK
from ikdemo.instance.docker.orphans import end_orphaned_containers
from ikdemo.instance.docker.plugin import DockerInstances
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import IkdemoError
from ikdemo.spi.events import Event

Answer = tuple[int, bytes]
CUT = (0, b"")
"""An answer that ends before it is whole."""


class Engine:
    """An engine with three running containers. ``answers``: what it says instead, by the end of
    what is asked for.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.answers: dict[str, Answer] = {}
        self.states: dict[str, str] = {}
        self.removed: list[str] = []
        self.made: list[dict[str, Any]] = []
        self.asked: Callable[[str], None] = lambda path: None
        self.creating = asyncio.Event()  # until it is set, no container is created
        self.creating.set()

    def answer(self, method: str, path: str) -> Answer:
        """Answer a question as Docker does."""
        for end, said in self.answers.items():
            if path.endswith(end):
                return said
        name = path.split("/")[-2]
        if path.endswith("/containers/json"):
            return 200, json.dumps(self.rows).encode()
        if method == "DELETE":
            self.removed.append(path.rpartition("/")[2])
            return 204, b""
        if path.endswith("/containers/create"):
            return 201, json.dumps({"Id": f"made-{len(self.made)}"}).encode()
        if path.endswith("/start"):
            return 204, b""
        if path.endswith(("/version", "/info")):
            return 200, b'{"ApiVersion": "1.44", "MinAPIVersion": "1.24"}'
        if "/containers/" in path and name in self.states:
            return 200, json.dumps({"State": {"Status": self.states[name]}}).encode()
        return 404, b'{"message": "No such container"}'

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target = head.decode().split(" ")[:2]
                path = unquote(target.partition("?")[0])
                if path.endswith("/events"):
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    await reader.read()
                    return
                self.asked(path)
                length = next(
                    (
                        int(row[15:])
                        for row in head.decode().split("\r\n")
                        if row.lower().startswith("content-length:")
                    ),
                    0,
                )
                sent = await reader.readexactly(length)
                if path.endswith("/containers/create"):
                    self.made.append(json.loads(sent))
                    await self.creating.wait()
                status, body = self.answer(method, path)
                if (status, body) == CUT:
                    writer.write(
                        b'HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n[{"Id": "c-0", "St'
                    )
                    return
                said = (
                    b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: "
                    b"%d\r\n\r\n" % (status, len(body))
                )
                writer.write(said + body)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


def row(number: int, mark: str, state: str = "running", **more: Any) -> dict[str, Any]:
    labels = Labels(f"instance-{number}", str(number), None, {"infrakit.group": "g"}, "80")
    listed = {
        "Id": f"c-{number}",
        "Names": [f"/instance-{number}"],
        "State": state,
        "Status": state,
    }
    return {**listed, "Labels": labels.to_dict({MARK: mark}), **more}


Unwell = tuple[DockerInstances, Engine, list[Event], str]


@asynccontextmanager
async def unwell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Unwell]:
    """Give a plugin that has seen its three containers, its engine, what it told, and its mark."""
    engine, told = Engine(), list[Event]()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    home = tmp_path / "p"
    home.mkdir()
    (home / "engine").write_text("here\nours\n")
    engine.rows = [row(number, "ours") for number in range(3)]
    engine.states = {f"c-{number}": "running" for number in range(3)}
    async with await asyncio.start_unix_server(engine, tmp_path / "engine.sock"):
        plugin = DockerInstances(home, grace=0.0)
        await plugin.start(told.append)
        try:
            yield plugin, engine, told, "ours"
        finally:
            await plugin.stop()


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 100))


async def ids(plugin: DockerInstances) -> list[str]:
    return [one.id for one in await plugin.describe_instances({"infrakit.group": "g"})]


WHOLE = [f"instance-{number}" for number in range(3)]
LIST = "/containers/json"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ((500, b'{"message": "database is locked"}'), "^database is locked$"),
        ((503, b"upstream is gone"), "upstream is gone"),
        (
            (400, b'{"message": "client version 1.44 is too new"}'),
            "^client version 1.44 is too new$",
        ),
        ((404, b"<html>not here</html>"), "not here"),
        (CUT, "went silent"),
        ((200, b""), "went silent"),
        ((200, b'[{"Id": "c-0", "Sta'), "went silent"),
        ((200, b"null"), "gives an answer that makes no sense: a list of containers was expected"),
        (
            (200, b'{"message": "x"}'),
            "gives an answer that makes no sense: a list of containers was expected",
        ),
        (
            (200, b"[null]"),
            "gives an answer that makes no sense: a container without an Id or a State is listed",
        ),
        (
            (200, b'[{"Id": "c-0"}]'),
            "gives an answer that makes no sense: a container without an Id or a State is listed",
        ),
        (
            (200, json.dumps([row(0, "ours"), row(0, "ours", "exited")]).encode()),
            "gives an answer that makes no sense: container c-0 is listed as running and as exited",
        ),
        ((200, b"[]"), "does not list instance-[01], and says that it lives"),
        (
            (200, json.dumps([row(0, "ours"), row(2, "ours")]).encode()),
            "does not list instance-1, and says that it lives",
        ),
    ],
)
def test_a_list_that_is_none_or_lacks_what_lives_is_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Answer, sentence: str
) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, told, _):
            assert await ids(plugin) == WHOLE
            engine.answers[LIST] = said
            for _ in range(2):
                with pytest.raises(IkdemoError, match=sentence):
                    await plugin.describe_instances({"infrakit.group": "g"})
                with pytest.raises(IkdemoError, match=sentence):
                    await plugin.destroy("instance-1")
            del engine.answers[LIST]
            assert await ids(plugin) == WHOLE
            assert not engine.removed and not [event for event in told if event.kind == "lost"]

    run(story)


@pytest.mark.parametrize("now", ["gone", "exited", "running", "unknown to the engine's API"])
def test_one_that_a_list_lacks_is_lost_by_the_engine_s_word_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, told, _):
            del engine.rows[1]
            match now:
                case "gone":
                    del engine.states["c-1"]
                case "exited":
                    engine.states["c-1"] = "exited"
                case "unknown to the engine's API":
                    engine.answers["/c-1/json"] = (500, b'{"message": "oops"}')
            if now in ("gone", "exited"):
                assert await ids(plugin) == ["instance-0", "instance-2"]
                assert [event.instance for event in told if event.kind == "lost"] == ["instance-1"]
                assert await ids(plugin) == ["instance-0", "instance-2"]
            else:
                with pytest.raises(IkdemoError, match=r"oops|says that it lives"):
                    await ids(plugin)
                assert not [event for event in told if event.kind == "lost"]

    run(story)


def test_two_containers_of_one_instance_are_one_and_it_is_the_original_that_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, _, mark):
            engine.rows.insert(0, row(1, mark, Id="copy", Names=["/mine"]))
            engine.rows.append(row(1, mark, Id="other", Names=["/too"]))
            engine.rows.append(dict(engine.rows[-1]))
            assert await ids(plugin) == WHOLE
            await plugin.destroy("instance-1")
            assert engine.removed == ["c-1"]

    run(story)


def test_what_is_listed_beyond_what_was_asked_for_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, told, _):
            engine.rows += [
                row(7, "theirs"),
                row(8, "theirs", "exited"),
                row(9, "theirs", "created"),
            ]
            assert [one.id for one in await plugin.describe_instances({})] == WHOLE
            with pytest.raises(IkdemoError, match="instance-7 is no instance here"):
                await plugin.destroy("instance-7")
            assert plugin._parts is not None
            await plugin._parts.containers.resync()
            await plugin._parts.containers.reaper.finish()
            assert not engine.removed and not told
            await asyncio.to_thread(end_orphaned_containers, tmp_path)
            assert engine.removed == ["c-0", "c-1", "c-2"]

    run(story)


def test_a_state_that_is_not_known_here_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, _, mark):
            engine.rows += [row(7, mark, "migrating"), row(8, mark, "created")]
            assert plugin._parts is not None
            await plugin._parts.containers.resync()
            await plugin._parts.containers.reaper.finish()
            assert engine.removed == ["c-8"]

    run(story)


def test_a_slot_that_cannot_be_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, _, __):
            for number, slot in enumerate(("9" * 5000, "", "x" * 129)):
                engine.rows[number]["Labels"][SLOT] = slot
            described = await plugin.describe_instances({"infrakit.group": "g"}, slots=True)
            assert [one.slot for one in described] == [UNSET, UNSET, UNSET]
            with pytest.raises(IkdemoError, match=r"^\$\.Slot: expected at most 128 characters"):
                await plugin.provision(InstanceSpec(Raw(b'{"Image": "a"}')), "1" * 10)

    run(story)


def test_events_that_make_no_sense_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, _, told, mark):
            assert plugin._parts is not None
            labels = row(1, mark)["Labels"]
            odd: list[Any] = [
                None,
                [],
                {},
                {"Actor": None},
                {"Actor": {"ID": "c-1"}, "Action": "die"},
            ]
            odd += [
                {"Actor": {"ID": "c-1", "Attributes": labels}, "Action": "die", "timeNano": "soon"}
            ]
            odd += [
                {"Actor": {"ID": "c-1", "Attributes": {**labels, "exitCode": "x"}}, "Action": "die"}
            ]
            for event in odd:
                plugin._parts.containers.on_event(event)
            assert await ids(plugin) == WHOLE and not [
                event for event in told if event.kind == "lost"
            ]

    run(story)


def test_without_a_descriptor_or_a_thread_left_nothing_is_lost_and_questions_are_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread:
        def __init__(self, **options: Any) -> None:
            pass

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, _, told, __):
            assert plugin._parts is not None
            plugin._parts.containers.engine.disconnect()
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
            try:
                with pytest.raises(IkdemoError, match="too many open files"):
                    await ids(plugin)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            with monkeypatch.context() as patched:
                patched.setattr(calls.threading, "Thread", NoThread)
                for _ in range(calls.AT_ONCE + 1):  # each one gives its room back
                    with pytest.raises(
                        IkdemoError, match="cannot be asked: can't start new thread"
                    ):
                        await ids(plugin)
            assert await ids(plugin) == WHOLE
            assert not [event for event in told if event.kind == "lost"]

    run(story)


def test_one_that_dies_while_the_engine_is_asked_about_another_is_lost_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, told, mark):
            assert plugin._parts is not None
            containers, died = (
                plugin._parts.containers,
                {"ID": "c-0", "Attributes": {**row(0, mark)["Labels"], "exitCode": "1"}},
            )
            engine.rows, listed = [engine.rows[0], engine.rows[2]], engine.rows[1]
            engine.asked = lambda path: (
                containers.on_event({"Actor": died, "Action": "die"})
                if path.endswith("/c-1/json")
                else None
            )
            await containers.resync()
            engine.asked = lambda path: None
            engine.rows.append(listed)
            await containers.resync()
            await containers.reaper.finish()
            assert [(event.kind, event.instance) for event in told] == [("lost", "instance-0")]

    run(story)


def test_overlapping_provisions_keep_to_the_room_and_to_one_for_a_slot_and_get_ports_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = Raw(b'{"Image": "a", "Network": "host", "Pull": "always"}')
    ports = iter([1000, 1000, 1001, 1000, 1001, 1002])
    monkeypatch.setattr(
        provisioning, "free_port", lambda taken: next(port for port in ports if port not in taken)
    )

    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, _, __):
            assert plugin._parts is not None
            plugin._parts.provisioner._most = 6
            engine.creating.clear()
            engine.answers["/images/create"] = 200, b"{}"

            async def provision(slot: int) -> str:
                tags = {"infrakit.group": "new", "infrakit.config_sha": "s"}
                return await plugin.provision(InstanceSpec(properties, tags), str(slot))

            asked = [asyncio.create_task(provision(slot)) for slot in (0, 1, 2, 3, 4, 0, 1, 2)]
            while len(engine.made) < 3 or sum(task.done() for task in asked) < 2:  # noqa: ASYNC110  no event tells of it
                await asyncio.sleep(0)
            engine.creating.set()
            said = await asyncio.gather(*asked, return_exceptions=True)
            made = {one for one in said if isinstance(one, str)}
            assert (len(made), len(engine.made)) == (3, 3)
            refused = [str(one) for one in said if not isinstance(one, str)]
            assert set(refused) == {"no room: 6 instances are alive, and no more than 6 may be"}
            listens = [
                next(text for text in one["Env"] if text.startswith("PORT=")) for one in engine.made
            ]
            assert sorted(listens) == ["PORT=1000", "PORT=1001", "PORT=1002"]

    run(story)


@pytest.mark.parametrize("said", [b"null", b"[]", b"5"])
def test_what_an_engine_says_of_itself_is_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    async def story() -> None:
        async with unwell(tmp_path, monkeypatch) as (plugin, engine, _, __):
            assert plugin._parts is not None
            engine.answers["/info"] = 200, said
            with pytest.raises(
                IkdemoError, match="gives an answer that makes no sense: an object was expected"
            ):
                await plugin._parts.containers.engine.info()

    run(story)


def test_an_engine_has_a_first_process_for_containers_unless_it_says_otherwise() -> None:
    has = [_has_init({"InitCommit": commit}) for commit in ({"ID": "de40ad0"}, {}, None, [], "x")]
    assert has == [True] * 5 and _has_init({}) and not _has_init({"InitCommit": {"ID": "N/A"}})
