"""A swarm in simulated time: services that are changed by version, and an orchestrator that makes
and ends their tasks a little later, as Docker 20.10 was seen to.

Every call takes a while before its effect and before its answer; answers get lost, and so does the
caller's patience while the request is still on its way, so it takes effect long after. What must
never happen is noticed at the moment at which it does: ``wrong``.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ikdemo.engine import EngineAddress, Row, Services
from ikdemo.engine.services import Service
from ikdemo.instance.container_labels import INSTANCE
from ikdemo.instance.swarm.plugin import SwarmInstances
from ikdemo.instance.swarm.slot_service import GROUP, SLOT
from ikdemo.instance.swarm.tasks import ENDED, WANTED
from ikdemo.spi.errors import OutcomeUnknown, PluginUnavailable, VersionConflict

T = TypeVar("T")
ACTING: contextvars.ContextVar[int] = contextvars.ContextVar("ACTING", default=0)
"""The epoch for which a request is made; 0 for one that needs none, such as a claim or a look."""
NODES = ("n1", "n2", "n3")
PATIENCE = 3.0
"""Seconds after which a caller gives up."""
LATE = 20.0
"""Seconds that a request may be on its way, at most."""


class SwarmInSimulation:
    """The swarm. ``faults``: the share of calls that go wrong; ``asked_to_end``: instances that
    somebody wants to end; ``claimed``: the greatest epoch whose claim was answered, by group.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.faults = dice, 0.0
        self.services: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.down: set[str] = set()
        self.asked_to_end: set[str] = set()
        self.claimed: dict[str, int] = {}
        self.wrong: list[str] = []
        self._index = 0
        self._loop = asyncio.get_running_loop()

    def next(self) -> int:
        self._index += 1
        return self._index

    def create(self, spec: Row) -> None:
        if any(one["Spec"]["Name"] == spec["Name"] for one in self.services.values()):
            raise VersionConflict("name conflicts with an existing object")
        name = f"s{self.next()}"
        self.services[name] = {"ID": name, "Version": self._index, "Spec": spec}
        if replicas(spec):
            self._check_epoch(spec)
        self._soon(self._reconcile, name)

    def update(self, service: Service, spec: Row) -> None:
        known = self.services.get(service.id)
        if known is None or known["Version"] != service.version:
            raise VersionConflict("update out of sequence")
        before, after = held(known["Spec"]), held(spec)
        if before != after:
            self._check_epoch(spec)
            self._check_healthy(service.id, before)
        self.services[service.id] = {"ID": service.id, "Version": self.next(), "Spec": spec}
        self._soon(self._reconcile, service.id)

    def remove(self, service: Service) -> None:
        known = self.services.pop(service.id, None)
        if known is None:
            raise VersionConflict("not found")
        self._check_healthy(service.id, held(known["Spec"]))
        for task in self.of(service.id):
            self._end(task, "remove")

    def _check_epoch(self, spec: Row) -> None:
        acting, claimed = ACTING.get(), self.claimed.get(spec["Labels"].get(GROUP, ""), 0)
        if acting and acting < claimed:
            self.wrong.append(f"epoch {acting} acted on {spec['Labels']} after {claimed}'s claim")

    def _check_healthy(self, service: str, before: str) -> None:
        if before and before not in self.asked_to_end:
            own = [task for task in self.of(service) if identity(task) == before]
            if not own or any(is_alive(task) for task in own):
                self.wrong.append(f"{before} lived, and was ended")

    def of(self, service: str) -> list[dict[str, Any]]:
        return [task for task in self.tasks.values() if task["ServiceID"] == service]

    def running(self) -> list[str]:
        """Return the instances that are wanted and run."""
        return [
            identity(task)
            for task in self.tasks.values()
            if is_alive(task) and task["Status"]["State"] == "running"
        ]

    def lose(self, instance: str) -> None:
        """A container ends."""
        for task in self.tasks.values():
            if identity(task) == instance and is_alive(task):
                self._state(task, "failed", 137)
                self._soon(task.__setitem__, "DesiredState", "shutdown")

    def power_off(self, node: str) -> None:
        """A node is down: its tasks are wanted no longer, and never told so."""
        if len(self.down | {node}) == len(NODES):
            return
        self.down.add(node)
        for task in self.tasks.values():
            if task["NodeID"] == node and task["DesiredState"] in WANTED:
                task["DesiredState"] = "shutdown"

    def power_on(self, node: str) -> None:
        self.down.discard(node)
        for task in self.tasks.values():
            if task["NodeID"] == node and task["DesiredState"] not in WANTED:
                self._end(task, task["DesiredState"])

    def _soon(self, change: Callable[..., object], *words: object) -> None:
        self._loop.call_later(self.dice.uniform(0.0, 0.4), change, *words)

    def _state(self, task: dict[str, Any], state: str, code: int = 0) -> None:
        task["Status"] = {"State": state, "ContainerStatus": {"ExitCode": code}}
        task["Version"] = {"Index": self.next()}

    def _reconcile(self, service: str) -> None:
        known = self.services.get(service)
        if known is None:
            return
        wanted, own = held(known["Spec"]), self.of(service)
        for task in own:
            if task["DesiredState"] in WANTED and identity(task) != wanted:
                self._end(task, "shutdown" if wanted else "remove")
        if wanted and not any(identity(task) == wanted for task in own):
            name = f"t{self.next()}"
            node = self.dice.choice([node for node in NODES if node not in self.down])
            task = {
                "ID": name,
                "ServiceID": service,
                "NodeID": node,
                "DesiredState": "running",
                "Spec": known["Spec"]["TaskTemplate"],
            }
            self.tasks[name] = task
            self._state(task, "new")
            self._soon(self._start, task)

    def _start(self, task: dict[str, Any]) -> None:
        if task["Status"]["State"] == "new" and task["NodeID"] not in self.down:
            fails = self.dice.random() < self.faults / 3
            self._state(task, "failed" if fails else "running", 1 if fails else 0)
            if fails:
                task["DesiredState"] = "shutdown"

    def _end(self, task: dict[str, Any], desired: str) -> None:
        task["DesiredState"] = desired
        if task["NodeID"] not in self.down:
            self._soon(self._gone, task, desired)

    def _gone(self, task: dict[str, Any], desired: str) -> None:
        if task["NodeID"] in self.down:
            return
        if desired == "remove":
            self.tasks.pop(task["ID"], None)
        elif task["Status"]["State"] not in ENDED:
            self._state(task, "shutdown")


def replicas(spec: Row) -> int:
    return int(spec["Mode"]["Replicated"]["Replicas"])


def held(spec: Row) -> str:
    """Return the instance that a service is to hold; empty for none."""
    labels = spec["TaskTemplate"]["ContainerSpec"].get("Labels") or {}
    return str(labels.get(INSTANCE, "")) if replicas(spec) else ""


def identity(task: Row) -> str:
    return str(task["Spec"]["ContainerSpec"]["Labels"][INSTANCE])


def is_alive(task: Row) -> bool:
    return task["DesiredState"] in WANTED and task["Status"]["State"] not in ENDED


class SimulatedServices(Services):
    """One plugin's way to the swarm."""

    def __init__(self, swarm: SwarmInSimulation) -> None:
        self._swarm, self._engines = swarm, []
        self._held: dict[str, asyncio.Event] = {}
        self.waiting = asyncio.Event()

    def hold(self, *names: str) -> asyncio.Event:
        """Keep the next call of one of these names on its way until the event is set."""
        released = asyncio.Event()
        self._held = dict.fromkeys(names, released)
        return released

    @property
    def engine(self) -> Any:
        return EngineAddress("simulated")

    def disconnect(self) -> None:
        pass

    async def services(self, **filters: Sequence[str]) -> list[Service]:
        def answer() -> list[Service]:
            rows = [
                Service(row["ID"], row["Version"], row["Spec"])
                for row in self._swarm.services.values()
            ]
            names, labels = filters.get("name"), filters.get("label", ())
            return [
                row
                for row in rows
                if (names is None or any(row.name.startswith(name) for name in names))
                and all(row.labels.get(key) == text for key, _, text in map(parted, labels))
            ]

        return await self._call("services", answer)

    async def tasks(self, **filters: Sequence[str]) -> list[Row]:
        desired = filters["desired_state"]
        return await self._call(
            "tasks",
            lambda: [dict(t) for t in self._swarm.tasks.values() if t["DesiredState"] in desired],
        )

    async def tasks_of(self, service: str) -> list[Row]:
        return await self._call(
            "tasks_of", lambda: [dict(task) for task in self._swarm.of(service)]
        )

    async def nodes(self) -> dict[str, Row]:
        down = self._swarm.down
        return await self._call(
            "nodes",
            lambda: {n: {"Status": {"State": "down" if n in down else "ready"}} for n in NODES},
        )

    async def create(self, spec: Row) -> None:
        await self._call("create", lambda: self._swarm.create(spec))

    async def update(self, service: Service, spec: Row) -> None:
        await self._call("update", lambda: self._swarm.update(service, spec))

    async def remove(self, service: Service) -> None:
        try:
            await self._call("remove", lambda: self._swarm.remove(service))
        except VersionConflict:
            return

    async def task_logs(self, task: str, lines: int = 0) -> bytes:
        return b""

    async def follow(self, on_event: Callable[[Row], None]) -> Any:
        raise PluginUnavailable("events are not simulated")

    async def _call(self, name: str, effect: Callable[[], T]) -> T:
        """Let a request take effect and be answered: late, or lost on either way."""
        loop, dice = asyncio.get_running_loop(), self._swarm.dice
        answer: asyncio.Future[T] = loop.create_future()
        goes_wrong = dice.random() < self._swarm.faults
        before = dice.uniform(0.0, LATE if goes_wrong and dice.random() < 0.5 else 0.02)
        is_lost = goes_wrong and dice.random() < 0.6

        def arrive() -> None:
            try:
                said, error = effect(), None
            except VersionConflict as conflict:
                said, error = None, conflict
            if answer.done() or is_lost:
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(said)  # type: ignore[arg-type]

        if (released := self._held.get(name)) is not None:
            self._held = {}
            self.waiting.set()
            loop.create_task(released.wait()).add_done_callback(lambda _: arrive())
        else:
            loop.call_later(before, arrive)
        try:
            async with asyncio.timeout(PATIENCE):
                said = await answer
        except TimeoutError:
            raise OutcomeUnknown("the swarm went silent") from None
        await asyncio.sleep(dice.uniform(0.0, 0.02))
        return said


class SimulatedSwarmInstances(SwarmInstances):
    """The plugin, over a simulated swarm."""

    def __init__(self, swarm: SwarmInSimulation) -> None:
        super().__init__("test")
        self.services = SimulatedServices(swarm)

    def _reach(self) -> Services:
        return self.services


def parted(label: str) -> tuple[str, str, str]:
    return label.partition("=")


def slots_of(swarm: SwarmInSimulation) -> dict[str, str]:
    """Return which instance each slot is to hold."""
    return {
        one["Spec"]["Labels"][SLOT]: held(one["Spec"])
        for one in swarm.services.values()
        if SLOT in one["Spec"]["Labels"]
    }
