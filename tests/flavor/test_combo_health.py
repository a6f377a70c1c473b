"""What a combo passes on of health: the events of its parts that offer them, over real sockets; and
a group healed by it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from asking import ask, until
from desk import Desk
from marked import marked
from msgspec import Raw

import ikdemo
from ikdemo.assembly import Serving
from ikdemo.flavor.combo import Combo
from ikdemo.flavor.probe import Probe
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.lab.teaching.specs import collabnix_processes
from ikdemo.rpc.peers import Peers
from ikdemo.spi.documents import Description, Health
from ikdemo.spi.events import Emit, Event

QUICK = {"Check": {"TCP": True}, "Interval": "20ms", "Timeout": "200ms", "Threshold": 2}


def listed(*flavors: tuple[str, object]) -> Raw:
    return Raw(
        json.dumps(
            {"Flavors": [{"Plugin": name, "Properties": own} for name, own in flavors]}
        ).encode()
    )


class Hasty(Vanilla):
    """A flavor that tells at its first look and does not offer to: it is not to be believed at
    once.
    """

    offers = frozenset()

    async def start(self, emit: Emit) -> None:
        self._emit = emit

    async def stop(self) -> None:
        pass

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        self._emit(Event("health", instance=instance.id, code="unhealthy"))
        return Health.HEALTHY


@asynccontextmanager
async def combined(
    directory: Path,
) -> AsyncIterator[tuple[Peers, AsyncIterator[Event], dict[str, Serving]]]:
    """Serve a combo and its parts; hand out the means to ask, what the combo tells, and what is
    served.
    """
    peers, own = Peers(directory), Peers(directory)
    parts = {
        "probe": Probe(start_up=0.0),
        "vanilla": Vanilla(),
        "hasty": Hasty(),
        "combo": Combo(own),
    }
    serving = {
        name: await ikdemo.serve(part, name=name, directory=directory)
        for name, part in parts.items()
    }

    async def told() -> AsyncIterator[Event]:
        async for batch in peers.events("combo"):
            for event in batch.events:
                yield event

    try:
        yield peers, told(), serving
    finally:
        await peers.close()
        for one in reversed(serving.values()):
            await one.stop()
        await own.close()


async def about(told: AsyncIterator[Event], instance: str) -> Event:
    """Return the next event about one instance."""
    async for event in told:
        if event.instance == instance:
            return event
    raise AssertionError("the stream has ended")


def test_health_events_of_the_parts_are_the_combo_s_own_and_a_restarted_part_is_asked_again(
    short_dir: Path,
) -> None:
    async def story() -> None:
        async with asyncio.timeout(100), combined(short_dir) as (peers, told, serving):
            server = await asyncio.start_server(
                lambda reader, writer: writer.close(), "127.0.0.1", 0
            )
            port = str(server.sockets[0].getsockname()[1])
            instance = Description("i-1", tags={"infrakit.group": "web", "port": port})
            combo = await peers.flavor("combo")
            assert combo.offers.isdisjoint({"HealthEvents", "ConstantHealth"})
            properties = listed(
                ("hasty", {}),
                ("combo", {"Flavors": [{"Plugin": "probe", "Properties": QUICK}]}),
                ("vanilla", {}),
            )

            async def healthy(asked: Description = instance) -> Health:
                return await combo.plugin.healthy(properties, asked)

            await healthy(Description("i-0", tags={"port": port}))
            assert (await anext(told)).code == "missed"  # from now on it is followed
            assert await healthy() is Health.UNKNOWN
            event = await about(told, "i-1")
            assert (event.plugin, event.group, event.instance, event.code) == (
                "combo",
                "web",
                "i-1",
                "healthy",
            )
            assert await healthy() is Health.HEALTHY
            server.close()
            assert (await about(told, "i-1")).code == "unhealthy"
            assert await healthy() is Health.UNHEALTHY
            await serving["probe"].stop()
            serving["probe"] = await ikdemo.serve(
                Probe(start_up=0.0), name="probe", directory=short_dir
            )
            assert (await about(told, "")).code == "missed"
            await healthy()  # the new one knows of nobody until it is asked
            assert (await about(told, "i-1")).code == "unhealthy"
            await server.wait_closed()

    asyncio.run(story())


def test_a_combo_that_was_stopped_follows_nobody(short_dir: Path) -> None:
    async def story() -> list[str]:
        async with asyncio.timeout(100), combined(short_dir) as (peers, told, _):
            instance = Description("i-1", tags={"port": "1"})
            await (await peers.flavor("combo")).plugin.healthy(listed(("probe", QUICK)), instance)
            await anext(told)
        return [
            task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()
        ]

    assert asyncio.run(story()) == []


def test_a_group_of_a_combo_replaces_a_stopped_server_although_its_poll_never_comes(
    desk: Desk,
) -> None:
    desk.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    desk.start("ikdemo-instance-process", "instance-process", "--grace", "1s")
    for program, name in (
        ("ikdemo-flavor-probe", "flavor-probe"),
        ("infrakit-flavor-vanilla", "flavor-vanilla"),
    ):
        desk.start(program, name)
    desk.start("infrakit-flavor-combo", "flavor-combo")
    desk.start("infrakit-group-default", "group", "--poll-interval", "1h")
    try:
        heal_twice(desk)
    finally:
        for name in list(desk.processes):
            desk.stop(name, signal.SIGKILL)
        for pid in marked(desk.plugins / "instance-process.instances"):
            os.kill(pid, signal.SIGKILL)


def heal_twice(desk: Desk) -> None:
    """Stop a server, and another one after the probe itself was killed and started again."""
    spec: dict[str, Any] = collabnix_processes(size=3)
    parts = [
        spec["Properties"]["Flavor"],
        {"Plugin": "flavor-vanilla", "Properties": {"Tags": {"tier": "web"}}},
    ]
    spec["Properties"]["Flavor"] = {"Plugin": "flavor-combo", "Properties": {"Flavors": parts}}
    (desk.cwd / "spec.json").write_text(json.dumps(spec))
    assert desk.run("infrakit group commit spec.json").returncode == 0
    until(lambda: len(well(desk) & set(pids(desk))) == 3)
    for turn in range(2):
        target, pid = sorted(pids(desk).items())[turn]
        os.kill(pid, signal.SIGSTOP)
        until(lambda target=target: target not in pids(desk) and len(pids(desk)) == 3)
        if turn == 0:
            desk.stop("flavor-probe", signal.SIGKILL)
            desk.start("ikdemo-flavor-probe", "flavor-probe")
        until(lambda: len(well(desk) & set(pids(desk))) == 3)
    described = ask(
        desk.plugins / "instance-process", "Instance.DescribeInstances", {"Tags": {"tier": "web"}}
    )
    assert len(described["Descriptions"]) == 3


def pids(desk: Desk) -> dict[str, int]:
    """Return the process of each instance that is registered."""
    found = {}
    for path in (desk.plugins / "instance-process.instances").glob("*.json"):
        try:
            found[path.stem] = int(json.loads(path.read_text())["Pid"])
        except FileNotFoundError:
            continue
    return found


def well(desk: Desk) -> set[str]:
    """Return the instances that the probe's present process has called healthy."""
    since = {"Since": {"Stream": "", "Next": 0}, "Timeout": 0}
    events = ask(desk.plugins / "flavor-probe", "Events.Watch", since)["Events"]
    return {event["Instance"] for event in events if event["Code"] == "healthy"}
