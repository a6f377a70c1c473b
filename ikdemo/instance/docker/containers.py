"""The containers of one owner: made, ended, lost, and nothing of them left behind.

The engine's list is the truth about who is there, with one correction: a container whose death was
told stays listed as running while the engine cleans up, so what was told counts too. Called by
``docker``, and by ``watching`` with what the engine tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ...engine import Engine, Row
from ...spi.errors import OutcomeUnknown, PluginFailure
from ...spi.events import Emit, Event
from ..common import ExitReason, announce
from .exit_reason import ExitSignals, time_of
from .labels import (
    ALIVE,
    INSTANCE,
    LEFTOVER,
    MARK,
    Container,
    Labels,
    address_of,
    bears,
    container_of,
    labels_of,
)
from .reaper import Reaper

REMEMBERED = 2000
"""Dead containers that are not taken for living ones, should an old list say so."""

log = logging.getLogger(__name__)


class ContainerState(NamedTuple):
    """A living container: who it is, and since when, in nanoseconds of the engine's clock."""

    badge: Labels
    began: int


class Containers:
    """Living containers by ID. ``whose``: labels that say whose they are; ``seen``: time of the
    latest event, in nanoseconds.
    """

    def __init__(self, engine: Engine, whose: Mapping[str, str], emit: Emit) -> None:
        self.engine, self.whose, self.labels, self.burials = (
            engine,
            whose,
            [f"{MARK}={whose[MARK]}"],
            Reaper(engine),
        )
        self.seen = 0
        self._emit, self._omens = emit, ExitSignals()
        self._living: dict[str, ContainerState] = {}
        self._gone: dict[str, None] = {}
        # instances between the request to create one and the answer that it runs
        self._making: dict[str, Labels] = {}
        self._early: dict[str, ExitReason] = {}  # ends of those that were being made
        self._dying: dict[str, asyncio.Event] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._living) + len(self._making)

    def __contains__(self, listed: Container) -> bool:
        """Say whether a listed container lives, as far as was told."""
        return listed.is_alive and listed.id not in self._gone

    async def containers(self, *labels: str) -> list[Container]:
        """List the owner's containers, in whatever state, that have these labels besides."""
        wanted = [*self.labels, *labels]
        rows = [row for row in await self.engine.containers(wanted) if bears(row, wanted)]
        return [one for row in rows if (one := container_of(row, self.engine.address)) is not None]

    async def living(
        self, *labels: str, meant: Callable[[Labels], bool] = lambda badge: True
    ) -> list[Container]:
        """List the owner's living containers that have these labels besides, one for each instance.

        ``meant``: says of what is known whether it has these labels, so that it must not be
        lacking. Raises what the engine raises, and OutcomeUnknown for a list that says less than
        the engine knows.
        """
        known = [
            (container, member.badge)
            for container, member in self._living.items()
            if meant(member.badge)
        ]
        chosen: dict[str, Container] = {}
        listed = await self.containers(*labels)
        for one in listed:
            if one in self and (one.badge.instance not in chosen or one.is_original):
                chosen[one.badge.instance] = one
        there = {one.id for one in listed}
        for container, badge in known:
            if container not in there and await self._is_alive(container):
                raise OutcomeUnknown(
                    f"the Docker engine does not list {badge.instance}, and says that it lives"
                )
        return list(chosen.values())

    async def _is_alive(self, container: str) -> bool:
        """Say whether the engine knows a container that a list lacks, and says that it lives; tell
        it as lost if not.
        """
        if (
            container in self._living
            and container not in self._dying
            and await self.engine.state(container) in ALIVE
        ):
            return container in self._living
        self._lose(container, ExitReason("unknown", "ended while nobody watched"))
        return False

    async def host_of(self, container: str) -> str:
        """Return where a container answers that may not be ours, and whose network one of ours
        uses; empty if it is gone.
        """
        row = next(iter(await self.engine.containers(container=container)), None)
        return "" if row is None else address_of(row) or self.engine.address

    async def close(self) -> None:
        """Finish what was begun."""
        await asyncio.gather(*self._ends.values(), return_exceptions=True)
        await self.burials.finish()

    def ports(self) -> set[int]:
        """Return the ports on which the living listen, and those that are being made."""
        badges = [*(member.badge for member in self._living.values()), *self._making.values()]
        return {
            int(badge.port) for badge in badges if badge.port.isdecimal() and len(badge.port) <= 5
        }

    async def make(self, badge: Labels, config: Mapping[str, Any]) -> bool:
        """Create and start a container; false when the engine lacks its image. One that does not
        start does not stay.
        """
        self._making[badge.instance] = badge
        container: str | None = badge.instance  # its name, until it has an ID
        try:
            container = await self.engine.create(badge.instance, config)
            if container is None:
                return False
            await self.engine.start(container)
        except BaseException:
            # it may run all the same, if only the answer was lost
            self._forget(container or badge.instance)
            self.burials.remove(container or badge.instance)
            raise
        finally:
            del self._making[badge.instance]
            early = self._early.pop(badge.instance, None)
        self._living[container] = ContainerState(badge, self.seen)
        self._tell("provisioned", badge, f"container {container[:12]} of {config['Image']}")
        if early is not None:
            self._lose(container, early)
        return True

    def is_ending(self, listed: Container) -> bool:
        """Say whether a container is being ended on request."""
        return listed.id in self._dying

    async def end(self, instance: str, grace: float) -> None:
        """End an instance: SIGTERM, SIGKILL after ``grace`` seconds; goes on if the caller goes
        away, and a second one joins.

        Raises PluginFailure when no such instance lives.
        """
        if instance not in self._ends:
            self._ends[instance] = asyncio.create_task(
                self._end(instance, grace), name=f"end of {instance}"
            )
            self._ends[instance].add_done_callback(lambda task: self._ended(instance, task))
        await asyncio.shield(self._ends[instance])

    def _ended(self, instance: str, task: asyncio.Task[None]) -> None:
        del self._ends[instance]
        if not task.cancelled():
            task.exception()  # whoever waits has it; perhaps nobody does

    async def _end(self, instance: str, grace: float) -> None:
        found = await self.living(
            f"{INSTANCE}={instance}", meant=lambda badge: badge.instance == instance
        )
        if not found:
            raise PluginFailure(f"{instance} is no instance here")
        container, badge = found[0].id, found[0].badge
        dead = self._dying[container] = asyncio.Event()
        try:
            if grace > 0:
                await self.engine.kill(container, "SIGTERM")
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace):
                        await dead.wait()
            await self.burials.keep_output(container, instance)
            await self.engine.remove(container)
        finally:
            del self._dying[container]
        self._forget(container)
        self._tell("destroyed", badge, f"container {container[:12]} was removed")

    def hear(self, event: Row) -> None:
        """Take one of the engine's events about a container of this owner; one that makes no sense
        is passed over.
        """
        try:
            self._hear(event)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            log.warning(
                "The engine told what makes no sense (%s: %s): %.200r",
                type(error).__name__,
                error,
                event,
            )

    def _hear(self, event: Row) -> None:
        container, badge = event["Actor"]["ID"], labels_of(event["Actor"].get("Attributes") or {})
        if badge is None:
            return
        self.seen = max(self.seen, time_of(event))
        is_ours = badge.instance in self._making
        match event["Action"]:
            case "create" if not is_ours:
                self.burials.remove(container)  # of a request that was given up
            case "start" if container in self._gone:
                self.burials.remove(container)  # it was told as lost, and perhaps replaced
            case "start" if not is_ours:
                self._adopt(
                    container, ContainerState(badge, time_of(event)), "was started by somebody"
                )
            case "kill" | "oom":
                self._omens.note(container, event)
            case "die":
                self._died(container, badge, event)
            case "destroy":
                self._lose(container, ExitReason("killed", "was removed"))

    def _died(self, container: str, badge: Labels, event: Row) -> None:
        began = self._living[container].began if container in self._living else time_of(event)
        ending = self._omens.ending(container, began, event)
        if container in self._dying:
            self._dying[container].set()
        elif badge.instance in self._making:
            self._early[badge.instance] = ending
        else:
            self._lose(container, ending)

    async def agree(self, *, first: bool = False) -> None:
        """Compare what is known with what the engine lists: find what no event told, and remove
        what is left of the dead.
        """
        before = set(self._living)
        listed = await self.containers()
        living = {one.id for one in listed if one in self}
        self._omens.keep(living)
        there = {one.id for one in listed}
        for container in before - living - self._dying.keys():
            if container in there:
                self._lose(container, ExitReason("unknown", "ended while nobody watched"))
            else:
                await self._is_alive(container)
        for one in listed:
            if (
                one.badge.instance in self._making
                or one.id in self._dying
                or one.id in self.burials
            ):
                continue
            # asked again: it may have ended while the engine was asked about others
            if one in self:
                self._adopt(one.id, ContainerState(one.badge, 0), "" if first else "was found")
            elif one.state == "exited" and one.id not in self._gone:
                self._living[one.id] = ContainerState(one.badge, 0)
                self._lose(
                    one.id,
                    ExitReason("unknown", f"ended while nobody watched: {one.status.lower()}"),
                )
            elif one.state in (*ALIVE, *LEFTOVER, "exited"):
                # another state is not known here, so it is left alone
                self.burials.remove(one.id)

    def _adopt(self, container: str, member: ContainerState, how: str) -> None:
        """Take a container that runs for a living one; what is known already is only given its
        time.
        """
        if container not in self._living and how:
            self._tell("provisioned", member.badge, f"container {container[:12]} {how}")
        self._living[container] = max(
            member, self._living.get(container, member), key=lambda one: one.began
        )

    def _lose(self, container: str, ending: ExitReason) -> None:
        """A living container ended without having been asked to: tell it at once, with its last
        words where they matter.
        """
        member = self._living.get(container)
        if member is None or container in self._dying:
            return
        self._forget(container)

        def tell(last: str = "") -> None:
            self._tell(
                "lost",
                member.badge,
                ending.text + (f"; it said last: {last}" if last else ""),
                ending.code,
            )

        if ending.code in ("died", "early"):
            self.burials.remove(container, member.badge.instance, tell)
        else:
            tell()
            self.burials.remove(container, member.badge.instance)

    def _forget(self, container: str) -> None:
        self._living.pop(container, None)
        self._gone[container] = None
        while len(self._gone) > REMEMBERED:
            del self._gone[next(iter(self._gone))]

    def _tell(self, kind: str, badge: Labels, text: str, code: str = "") -> None:
        group, slot = badge.group, badge.slot or ""
        announce(
            self._emit,
            Event(
                kind,
                group=group,
                instance=badge.instance,
                slot=slot,
                code=code,
                text=text,
                tags=badge.tags,
            ),
        )
