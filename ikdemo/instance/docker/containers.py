"""The containers of one owner: made, ended, lost, and nothing of them left behind.

The engine's list is the truth about who is there, with one correction: a container whose death was
told stays listed as running while the engine cleans up, so what was told counts too. A container is
in ``_creating`` from the request to the answer that it runs, then among the ``_alive``, in
``_ending`` while it is ended on request, and last among the ``_gone``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ...engine import Engine, Row
from ...spi.errors import OutcomeUnknown, PluginFailure
from ...spi.events import Emit
from ..common import ExitReason, announce
from ..container_labels import INSTANCE, Labels, labels_of
from ..single_flight import SingleFlight
from .labels import (
    ALIVE,
    LEFTOVER,
    MARK,
    Container,
    address_of,
    container_of,
    has_labels,
)
from .reaper import ExitSignals, Reaper, time_of

REMEMBERED = 2000
"""Dead containers that are not taken for living ones, should an old list say so."""

log = logging.getLogger(__name__)


class LiveContainer(NamedTuple):
    """A living container: who it is, and since when, in nanoseconds of the engine's clock."""

    labels: Labels
    began: int


class Containers:
    """Living containers by ID.

    ``owner_labels`` say whose they are; ``latest_event`` is the time of the engine's latest event,
    in nanoseconds.
    """

    def __init__(self, engine: Engine, owner_labels: Mapping[str, str], emit: Emit) -> None:
        self.engine, self.owner_labels, self.reaper = engine, owner_labels, Reaper(engine)
        self.owner_filter = [f"{MARK}={owner_labels[MARK]}"]
        self.latest_event = 0
        self._emit, self._exit_signals = emit, ExitSignals()
        self._alive: dict[str, LiveContainer] = {}
        self._gone: dict[str, None] = {}
        # instances between the request to create one and the answer that it runs
        self._creating: dict[str, Labels] = {}
        self._early: dict[str, ExitReason] = {}  # ends of those that were being made
        self._ending: dict[str, asyncio.Event] = {}
        self._ends = SingleFlight[str, None]()

    def __len__(self) -> int:
        return len(self._alive) + len(self._creating)

    def __contains__(self, listed: Container) -> bool:
        """Say whether a listed container lives, as far as was told."""
        return listed.is_alive and listed.id not in self._gone

    async def list_all(self, *labels: str) -> list[Container]:
        """List the owner's containers, in whatever state, that have these labels besides."""
        wanted = [*self.owner_filter, *labels]
        rows = [row for row in await self.engine.containers(wanted) if has_labels(row, wanted)]
        return [one for row in rows if (one := container_of(row, self.engine.address)) is not None]

    async def list_alive(
        self, *wanted: str, meant: Callable[[Labels], bool] = lambda labels: True
    ) -> list[Container]:
        """List the owner's living containers that have these labels besides, one for each instance.

        ``meant``: says of what is known whether it has these labels, so that it must not be
        lacking. Raises what the engine raises, and OutcomeUnknown for a list that says less than
        the engine knows.
        """
        known = [
            (container, state.labels)
            for container, state in self._alive.items()
            if meant(state.labels)
        ]
        chosen: dict[str, Container] = {}
        listed = await self.list_all(*wanted)
        for one in listed:
            if one in self and (one.labels.instance not in chosen or one.is_original):
                chosen[one.labels.instance] = one
        there = {one.id for one in listed}
        for container, labels in known:
            if container not in there and await self._is_alive(container):
                raise OutcomeUnknown(
                    f"the Docker engine does not list {labels.instance}, and says that it lives"
                )
        return list(chosen.values())

    async def _is_alive(self, container: str) -> bool:
        """Say whether the engine knows a container that a list lacks, and says that it lives; tell
        it as lost if not.
        """
        if (
            container in self._alive
            and container not in self._ending
            and await self.engine.state(container) in ALIVE
        ):
            return container in self._alive
        self._lost(container, ExitReason("unknown", "ended while nobody watched"))
        return False

    async def host_of(self, container: str) -> str:
        """Return where a container answers that may not be ours, and whose network one of ours
        uses; empty if it is gone.
        """
        row = next(iter(await self.engine.containers(container=container)), None)
        return "" if row is None else address_of(row) or self.engine.address

    async def close(self) -> None:
        """Finish what was begun."""
        await self._ends.finish()
        await self.reaper.finish()

    def ports(self) -> set[int]:
        """Return the ports on which the living listen, and those that are being made."""
        alive = [*(state.labels for state in self._alive.values()), *self._creating.values()]
        return {int(one.port) for one in alive if one.port.isdecimal() and len(one.port) <= 5}

    async def create(self, labels: Labels, config: Mapping[str, Any]) -> bool:
        """Create and start a container; false when the engine lacks its image. One that does not
        start does not stay.
        """
        self._creating[labels.instance] = labels
        container: str | None = labels.instance  # its name, until it has an ID
        try:
            container = await self.engine.create(labels.instance, config)
            if container is None:
                return False
            await self.engine.start(container)
        except BaseException:
            # it may run all the same, if only the answer was lost
            self._forget(container or labels.instance)
            self.reaper.remove(container or labels.instance)
            raise
        finally:
            del self._creating[labels.instance]
            early = self._early.pop(labels.instance, None)
        self._alive[container] = LiveContainer(labels, self.latest_event)
        announce(
            self._emit,
            "provisioned",
            labels.description,
            f"container {container[:12]} of {config['Image']}",
        )
        if early is not None:
            self._lost(container, early)
        return True

    def is_ending(self, listed: Container) -> bool:
        """Say whether a container is being ended on request."""
        return listed.id in self._ending

    async def group_of(self, instance: str) -> str:
        """Return the group of a living instance, by its tag; empty where it has none. Raises as
        ``end`` does.
        """
        return (await self._find(instance)).labels.group

    async def end(self, instance: str, grace: float) -> None:
        """End an instance: SIGTERM, SIGKILL after ``grace`` seconds; goes on if the caller goes
        away, and a second one joins.

        Raises PluginFailure when no such instance lives.
        """
        await self._ends.do(instance, lambda: self._end(instance, grace), name=f"end of {instance}")

    async def _end(self, instance: str, grace: float) -> None:
        found = await self._find(instance)
        container, labels = found.id, found.labels
        dead = self._ending[container] = asyncio.Event()
        try:
            if grace > 0:
                await self.engine.kill(container, "SIGTERM")
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace):
                        await dead.wait()
            await self.reaper.keep_output(container, instance)
            await self.engine.remove(container)
        finally:
            del self._ending[container]
        self._forget(container)
        announce(
            self._emit, "destroyed", labels.description, f"container {container[:12]} was removed"
        )

    async def _find(self, instance: str) -> Container:
        found = await self.list_alive(
            f"{INSTANCE}={instance}", meant=lambda labels: labels.instance == instance
        )
        if not found:
            raise PluginFailure(f"{instance} is no instance here")
        return found[0]

    def on_event(self, event: Row) -> None:
        """Take one of the engine's events about a container of this owner; one that makes no sense
        is passed over.
        """
        try:
            self._apply(event)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            log.warning(
                "The engine told what makes no sense (%s: %s): %.200r",
                type(error).__name__,
                error,
                event,
            )

    def _apply(self, event: Row) -> None:
        container, labels = event["Actor"]["ID"], labels_of(event["Actor"].get("Attributes") or {})
        if labels is None:
            return
        self.latest_event = max(self.latest_event, time_of(event))
        is_ours = labels.instance in self._creating
        match event["Action"]:
            case "create" if not is_ours:
                self.reaper.remove(container)  # of a request that was given up
            case "start" if container in self._gone:
                self.reaper.remove(container)  # it was told as lost, and perhaps replaced
            case "start" if not is_ours:
                self._adopt(
                    container, LiveContainer(labels, time_of(event)), "was started by somebody"
                )
            case "kill" | "oom":
                self._exit_signals.note(container, event)
            case "die":
                self._died(container, labels, event)
            case "destroy":
                self._lost(container, ExitReason("killed", "was removed"))

    def _died(self, container: str, labels: Labels, event: Row) -> None:
        began = self._alive[container].began if container in self._alive else time_of(event)
        reason = self._exit_signals.reason(container, began, event)
        if container in self._ending:
            self._ending[container].set()
        elif labels.instance in self._creating:
            self._early[labels.instance] = reason
        else:
            self._lost(container, reason)

    async def resync(self, *, first: bool = False) -> None:
        """Compare what is known with what the engine lists: find what no event told, and remove
        what is left of the dead.
        """
        before = set(self._alive)
        listed = await self.list_all()
        alive = {one.id for one in listed if one in self}
        self._exit_signals.keep(alive)
        there = {one.id for one in listed}
        for container in before - alive - self._ending.keys():
            if container in there:
                self._lost(container, ExitReason("unknown", "ended while nobody watched"))
            else:
                await self._is_alive(container)
        for one in listed:
            if (
                one.labels.instance in self._creating
                or one.id in self._ending
                or one.id in self.reaper
            ):
                continue
            # asked again: it may have ended while the engine was asked about others
            if one in self:
                self._adopt(one.id, LiveContainer(one.labels, 0), "" if first else "was found")
            elif one.state == "exited" and one.id not in self._gone:
                self._alive[one.id] = LiveContainer(one.labels, 0)
                self._lost(
                    one.id,
                    ExitReason("unknown", f"ended while nobody watched: {one.status.lower()}"),
                )
            elif one.state in (*ALIVE, *LEFTOVER, "exited"):
                # another state is not known here, so it is left alone
                self.reaper.remove(one.id)

    def _adopt(self, container: str, state: LiveContainer, how: str) -> None:
        """Take a container that runs for a living one; what is known already is only given its
        time.
        """
        if container not in self._alive and how:
            announce(
                self._emit,
                "provisioned",
                state.labels.description,
                f"container {container[:12]} {how}",
            )
        self._alive[container] = max(
            state, self._alive.get(container, state), key=lambda one: one.began
        )

    def _lost(self, container: str, reason: ExitReason) -> None:
        """A living container ended without having been asked to: tell it at once, with its last
        words where they matter.
        """
        state = self._alive.get(container)
        if state is None or container in self._ending:
            return
        self._forget(container)

        def tell(last: str = "") -> None:
            text = reason.text + (f"; it said last: {last}" if last else "")
            announce(self._emit, "lost", state.labels.description, text, reason.code)

        if reason.code in ("died", "early"):
            self.reaper.remove(container, state.labels.instance, tell)
        else:
            tell()
            self.reaper.remove(container, state.labels.instance)

    def _forget(self, container: str) -> None:
        self._alive.pop(container, None)
        self._gone[container] = None
        while len(self._gone) > REMEMBERED:
            del self._gone[next(iter(self._gone))]
