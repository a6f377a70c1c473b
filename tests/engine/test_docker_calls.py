"""What the plugin for containers does when called: real containers begin, are described, print,
end, and leave nothing behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import lasting
import pytest
from engine.private import IMAGE, PrivateEngine
from lasting import FOREVER, Ear, printed, run
from msgspec import Raw

from ikdemo.engine import Engine
from ikdemo.instance.container_labels import Labels
from ikdemo.instance.docker import reaper
from ikdemo.instance.docker.labels import MARK, OWNER
from ikdemo.instance.docker.plugin import DockerInstances
from ikdemo.spi.documents import Description, InstanceSpec
from ikdemo.spi.errors import InUse, PluginFailure, SpecError


def spec(script: str = "", sha: str = "s", **properties: Any) -> InstanceSpec:
    return lasting.spec(script, sha, **{"Image": IMAGE, **properties})


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    made = docker.APIClient(engine.host, timeout=100)
    yield made
    made.close()


@asynccontextmanager
async def plugin(directory: Path, **options: Any) -> AsyncIterator[tuple[DockerInstances, Ear]]:
    made, ear = DockerInstances(directory, **{"takes_along": True, "grace": 0.3, **options}), Ear()
    await made.start(ear)
    try:
        yield made, ear
    finally:
        await made.stop()


async def gone(client: docker.APIClient, name: str) -> None:
    """Wait until the engine has no container of this name (a pattern), in whatever state."""
    async with asyncio.timeout(100):
        while client.containers(all=True, filters={"name": f"^/{name}$"}):  # noqa: ASYNC110  our own events tell of instances only
            await asyncio.sleep(0.05)


def test_an_instance_knows_who_it_is_and_tells_where_it_answers(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            script = f'echo "$INSTANCE_ID|$SLOT|$GROUP|$PORT|$COLOUR"; {FOREVER}'
            wanted = spec(
                script,
                Env={"COLOUR": "red", "SLOT": "x"},
                Ports=["8080"],
                Labels={"mine": "1"},
                Memory="32M",
            )
            instance = await made.provision(wanted, "3")
            [described] = await made.describe_instances({"infrakit.group": "g"}, slots=True)
            inside = client.inspect_container(instance)
            assert (described.id, described.slot, described.logical_id) == (instance, "3", None)
            where = {"Address": inside["NetworkSettings"]["IPAddress"], "port": "8080"}
            assert described.tags == {"infrakit.group": "g", "infrakit.config_sha": "s", **where}
            assert await printed(made, instance, 1) == [f"{instance}|3|g|8080|red"]
            assert await made.describe_instances({"tier": "web"}) == []
            assert await made.describe_instances({}) == [
                Description(instance, None, described.tags)
            ]
            assert (inside["Config"]["Labels"]["mine"], inside["HostConfig"]["Memory"]) == (
                "1",
                32 * 2**20,
            )
            assert (await ear.next("provisioned")).slot == "3"

    run(story)


@pytest.mark.parametrize(
    ("properties", "host", "port"),
    [
        ({"Ports": ["0:80"]}, "127.0.0.1", None),
        ({"Ports": ["127.0.0.1:18081:80"]}, "127.0.0.1", "18081"),
        ({"Network": "host"}, "127.0.0.1", None),
        ({"Network": "none", "Ports": ["80"]}, None, None),
        ({}, None, None),
    ],
)
def test_the_tags_lead_to_where_an_instance_answers(
    tmp_path: Path,
    client: docker.APIClient,
    properties: dict[str, Any],
    host: str | None,
    port: str | None,
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            script = "echo here > /tmp/index.html; exec httpd -f -h /tmp -p ${PORT:-80}"
            await made.provision(spec(script, **properties))
            [one] = await made.describe_instances({})
            tags = one.tags or {}
            assert tags.get("Address") == host
            assert port is None or tags["port"] == port
            if host is None:
                assert "port" not in tags
                return
            async with asyncio.timeout(100):
                while True:
                    try:
                        reader, writer = await asyncio.open_connection(host, int(tags["port"]))
                        writer.write(b"GET / HTTP/1.0\r\n\r\n")
                        answer = await reader.read()
                        writer.close()
                    except OSError:  # also where the engine listens, and the container not yet
                        answer = b""
                    if answer:
                        break
                    await asyncio.sleep(0.05)
            assert answer.endswith(b"here\n")

    run(story)


def test_an_instance_in_another_containers_network_answers_at_its_address(
    tmp_path: Path, client: docker.APIClient
) -> None:
    lender = client.create_container(
        IMAGE, ["sleep", "1000"], name="lender", stop_signal="SIGKILL"
    )["Id"]
    client.start(lender)

    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            for _ in range(2):
                await made.provision(spec(FOREVER, Network="container:lender"))
            tags = [one.tags or {} for one in await made.describe_instances({})]
            address = client.inspect_container(lender)["NetworkSettings"]["IPAddress"]
            assert {one["Address"] for one in tags} == {address}
            assert len({one["port"] for one in tags}) == 2

    run(story)
    assert client.inspect_container(lender)["State"]["Running"], (
        "somebody else's container was touched"
    )
    client.remove_container(lender, force=True)


def test_a_slot_is_filled_once_also_by_calls_that_interleave(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            ids = await asyncio.gather(*(made.provision(spec(FOREVER), "0") for _ in range(5)))
            assert len(set(ids)) == 1
            with pytest.raises(PluginFailure, match=f"occupied by {ids[0]}"):
                await made.provision(spec(FOREVER, sha="other"), "0")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await made.provision(spec(FOREVER), "1")
            other = await made.provision(spec(FOREVER), "1")
            assert other != ids[0]
            assert len(client.containers(all=True)) == 2
            await made.destroy(ids[0])
            assert await made.provision(spec(FOREVER, sha="other"), "0") not in (*ids, other)

    run(story)


def test_the_end_of_a_command_is_told_at_once_with_its_status_and_its_last_words(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            instance = await made.provision(
                spec("echo 'no such file: x' >&2; sleep 0.2; exit 3"), "0"
            )
            event = await ear.next("lost")
            assert (event.instance, event.slot, event.group, event.code) == (
                instance,
                "0",
                "g",
                "died",
            )
            assert event.text.startswith("exited with status 3 after")
            assert event.text.endswith("it said last: no such file: x")
            assert await made.describe_instances({}) == []
            assert await made.logs(instance) == ["no such file: x"]
            with pytest.raises(PluginFailure, match="is no instance here"):
                await made.destroy(instance)
            await gone(client, instance)
            assert await made.logs(instance) == ["no such file: x"]

    run(story)


def test_a_command_that_ends_before_it_is_known_to_run_is_told_as_lost(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            for _ in range(3):
                instance = await made.provision(spec(Command=["false"]), "0")
                event = await ear.next("lost")
                assert (event.instance, event.code) == (instance, "died")
            assert [event.kind for event in ear.told] == ["provisioned", "lost"] * 3

    run(story)


COMMANDS: dict[str, tuple[Callable[[docker.APIClient, str], Any], str]] = {
    "docker kill": (lambda client, name: client.kill(name), "SIGKILL"),
    "docker stop": (lambda client, name: client.stop(name, timeout=1), "SIGTERM"),
    "docker rm -f": (lambda client, name: client.remove_container(name, force=True), "SIGKILL"),
    "docker restart": (lambda client, name: client.restart(name, timeout=1), "SIGTERM"),
    "docker pause and kill": (
        lambda client, name: (client.pause(name), client.kill(name)),
        "SIGKILL",
    ),
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_what_somebody_does_to_a_container_is_no_fault_of_its_command(
    tmp_path: Path, client: docker.APIClient, command: str
) -> None:
    carry_out, by = COMMANDS[command]

    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            instance = await made.provision(spec(FOREVER), "0")
            await asyncio.to_thread(carry_out, client, instance)
            event = await ear.next("lost")
            assert (event.instance, event.code) == (instance, "killed")
            assert by in event.text
            assert await made.describe_instances({}) == []
            assert await made.provision(spec(FOREVER), "0") != instance
            await gone(client, instance)
            assert len(await made.describe_instances({})) == 1

    run(story)


def test_a_paused_container_stays_described_and_can_be_destroyed(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            instance = await made.provision(spec(FOREVER), "0")
            client.pause(instance)
            assert [one.id for one in await made.describe_instances({})] == [instance]
            assert await made.provision(spec(FOREVER), "0") == instance
            await asyncio.gather(made.destroy(instance), made.destroy(instance))
            assert (await ear.next("destroyed")).instance == instance
            assert client.containers(all=True) == []
            assert [event.kind for event in ear.told] == ["provisioned", "destroyed"]

    run(story)


def test_a_destroy_goes_on_when_its_caller_goes_away(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p", grace=1.0) as (made, ear):
            instance = await made.provision(
                spec("trap '' TERM; echo ready; while :; do sleep 1; done"), "0"
            )
            await printed(made, instance, 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await made.destroy(instance)
            with pytest.raises(PluginFailure, match="occupied by"):
                await made.provision(spec(FOREVER), "0")
            await ear.next("destroyed")
            assert client.containers(all=True) == []
            assert "ready" in await made.logs(instance)

    run(story)


def test_memory_that_is_not_there_is_told_and_the_number_of_instances_is_bounded(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p", most=2) as (made, ear):
            await made.provision(spec("sleep 0.3; tail /dev/zero", Memory="16M"), "0")
            event = await ear.next("lost")
            # with control groups of version 1 the engine may not tell of the memory
            assert event.code in ("died", "early")
            assert event.text.startswith(
                ("needed more memory than it may have", "was ended by SIGKILL")
            )
            await made.provision(spec(FOREVER))
            await made.provision(spec(FOREVER))
            with pytest.raises(PluginFailure, match="no more than 2 may be"):
                await made.provision(spec(FOREVER))

    run(story)


@pytest.mark.parametrize(
    ("properties", "kind", "sentence"),
    [
        (
            {"Image": "nowhere:1", "Pull": "never"},
            PluginFailure,
            "the engine has no image nowhere:1, and Pull is never",
        ),
        ({"Image": "Bad/Name"}, SpecError, "invalid reference format"),
        ({"Memory": "1K"}, SpecError, "[Mm]inimum memory limit"),
        ({"Network": "nowhere"}, PluginFailure, "network nowhere not found"),
    ],
)
def test_what_the_engine_refuses_is_a_sentence_and_leaves_nothing(
    tmp_path: Path,
    client: docker.APIClient,
    properties: dict[str, Any],
    kind: type[Exception],
    sentence: str,
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            with pytest.raises(kind, match=sentence):
                await made.provision(spec(FOREVER, **properties), "0")
            await gone(client, "instance-.*")
            assert ear.told == []

    run(story)


def test_a_program_that_the_image_does_not_have_is_named(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            try:
                await made.provision(spec(Command=["no-such-program"]), "0")
            except SpecError as error:  # an engine without an init process refuses to start it
                assert "cannot run no-such-program" in str(error)
            else:
                event = await ear.next("lost")
                assert event.code == "died"
                assert "no-such-program" in event.text
            assert await made.describe_instances({}) == []

    run(story)


def test_a_port_that_is_taken_is_named(tmp_path: Path, client: docker.APIClient) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            first = await made.provision(spec(FOREVER, Ports=["18080:80"]), "0")
            with pytest.raises(PluginFailure, match=r"port 0.0.0.0:18080 is already allocated"):
                await made.provision(spec(FOREVER, Ports=["18080:80"]), "1")
            assert [one.id for one in await made.describe_instances({})] == [first]
            await made.destroy(first)
            await made.provision(spec(FOREVER, Ports=["18080:80"]), "1")

    run(story)


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({}, r"\$.Properties.Image: expected the name of an image"),
        ({"Image": "a b"}, r"\$.Properties.Image: expected the name of an image"),
        ({"Image": "a", "Command": []}, r"\$.Properties.Command: expected a program"),
        ({"Image": "a", "Pull": "often"}, r"\$.Properties.Pull: .*often"),
        ({"Image": "a", "Ports": ["80/tcp"]}, r"\$.Properties.Ports\[0\]: expected a port such as"),
        ({"Image": "a", "Ports": ["70000"]}, r"\$.Properties.Ports\[0\]: expected a port such as"),
        (
            {"Image": "a", "Ports": ["8:8"], "Network": "host"},
            "no published port in the network host",
        ),
        ({"Image": "a", "Labels": {"ikdemo.slot": "1"}}, "names that do not begin with ikdemo."),
        ({"Image": "a", "Env": {"A=B": "c"}}, r"\$.Properties.Env: expected names of variables"),
        ({"Image": "a", "Env": {"A": "c\0"}}, "NUL"),
        (
            {"Image": "a", "Volumes": []},
            r"^\$\.Properties\.Volumes: no such member is known, expected one of Command, "
            r"Env, Image, ",
        ),
        ({"Image": "a", "Memory": "lots"}, r"\$.Properties.Memory: expected an amount such as 64M"),
    ],
)
def test_properties_that_nothing_can_be_made_from_are_refused(
    tmp_path: Path, properties: Any, sentence: str
) -> None:
    with pytest.raises(SpecError, match=sentence):
        asyncio.run(DockerInstances(tmp_path).validate(Raw(json.dumps(properties).encode())))


def test_what_others_made_is_never_described_nor_touched(
    tmp_path: Path, client: docker.APIClient
) -> None:
    path = str((tmp_path / "p").resolve())  # in another container, say
    labels = Labels("instance-1", "0", None, {"infrakit.group": "g"}).to_dict(
        {OWNER: path, MARK: "another"}
    )
    theirs = [
        client.create_container(IMAGE, ["sleep", "1000"], labels=labels, stop_signal="SIGKILL")[
            "Id"
        ],
        client.create_container(IMAGE, ["true"], labels=labels)["Id"],
        client.create_container(IMAGE, ["true"], labels={OWNER: path})["Id"],
    ]
    client.start(theirs[0])
    client.start(theirs[1])

    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            assert await made.describe_instances({}) == []
            with pytest.raises(PluginFailure, match="instance-1 is no instance here"):
                await made.destroy("instance-1")
            await made.provision(spec(FOREVER), "0")

    run(story)
    assert {row["Id"] for row in client.containers(all=True)} == set(theirs)
    for container in theirs:
        client.remove_container(container, force=True)


def test_the_next_plugin_knows_what_lives_tells_what_died_and_removes_what_never_began(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p", takes_along=False) as (made, _):
            ids = [await made.provision(spec(FOREVER), str(slot)) for slot in range(3)]
            with pytest.raises(InUse, match=f"in use by pid {os.getpid()}"):
                await DockerInstances(tmp_path / "p").start(print)
        client.kill(ids[1])
        mark = (tmp_path / "p" / "engine").read_text().splitlines()[1]
        half = Labels("instance-5", "5", None, {"infrakit.group": "g"}).to_dict({MARK: mark})
        (tmp_path / "p").rename(tmp_path / "q")  # whose they are is not said by the path
        client.create_container(IMAGE, ["sleep", "1000"], labels=half, name="instance-5")
        async with plugin(tmp_path / "q") as (made, ear):
            assert sorted(one.id for one in await made.describe_instances({})) == sorted(
                [ids[0], ids[2]]
            )
            assert [(event.kind, event.code, event.instance, event.slot) for event in ear.told] == [
                ("lost", "unknown", ids[1], "1")
            ]
            assert await made.provision(spec(FOREVER), "0") == ids[0]
            await gone(client, "instance-5")
            await gone(client, ids[1])
        assert client.containers(all=True) == []

    run(story)


@pytest.mark.parametrize("before", ["create", "start"])
def test_a_plugin_killed_while_it_makes_a_container_leaves_none_that_nobody_knows(
    tmp_path: Path, client: docker.APIClient, before: str
) -> None:
    code = f"""
import asyncio, os, signal
from msgspec import Raw
from ikdemo.engine import Engine
from ikdemo.instance.docker.plugin import DockerInstances
from ikdemo.spi.documents import InstanceSpec
real = Engine.{before}
async def dies(self, *words):
    asyncio.get_running_loop().call_later(0.02, os.kill, os.getpid(), signal.SIGKILL)
    return await real(self, *words)
Engine.{before} = dies
async def story():
    made = DockerInstances({str(tmp_path / "p")!r})
    await made.start(print)
    properties, tags = Raw(b'{{"Image": "{IMAGE}"}}'), {{"infrakit.group": "g"}}
    await made.provision(InstanceSpec(properties, tags, "exec sleep 1000"), "0")
    await asyncio.Event().wait()  # for its end
asyncio.run(story())
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=100).returncode == -signal.SIGKILL

    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            wanted = InstanceSpec(
                Raw(json.dumps({"Image": IMAGE}).encode()), {"infrakit.group": "g"}, FOREVER
            )
            instance = await made.provision(wanted, "0")
            async with asyncio.timeout(100):
                while [row["Names"] for row in client.containers(all=True)] != [[f"/{instance}"]]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    run(story)


def test_a_lost_answer_makes_no_second_container(
    tmp_path: Path, client: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine creates and starts, and its answers never come: what was made is not kept, and the
    slot is filled once.
    """
    lost: list[str] = []

    def losing(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        real = getattr(Engine, name)

        async def call(self: Engine, *words: Any) -> Any:
            answer = await real(self, *words)
            if name not in lost:
                lost.append(name)
                raise PluginFailure("the answer was lost")
            return answer

        return call

    for name in ("create", "start"):
        monkeypatch.setattr(Engine, name, losing(name))

    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            for _ in range(2):
                with pytest.raises(PluginFailure, match="the answer was lost"):
                    await made.provision(spec(FOREVER), "0")
            instance = await made.provision(spec(FOREVER), "0")
            async with asyncio.timeout(100):
                while len(client.containers(all=True)) > 1:  # noqa: ASYNC110  they are removed in the background
                    await asyncio.sleep(0.05)
            assert [one.id for one in await made.describe_instances({})] == [instance]

    run(story)


def test_output_is_bounded_and_of_the_dead_the_end_is_kept(
    tmp_path: Path, client: docker.APIClient
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            script = (
                "i=0; while [ $i -lt 30000 ]; do echo line $i of many; i=$((i+1)); done; "
                "sleep 0.5; exit 1"
            )
            instance = await made.provision(spec(script))
            await ear.next("lost")
            assert await made.logs(instance, 2) == ["line 29998 of many", "line 29999 of many"]
            await gone(client, instance)
            assert len(await made.logs(instance)) == reaper.LINES
            with pytest.raises(PluginFailure, match="is no instance here"):
                await made.logs("instance-1")

    run(story)
