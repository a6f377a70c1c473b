"""Keeps what is known of a namespace's instances true to the swarm: looks at its services and
tasks, tells what is new and what was lost, and says when to look again.

Swarm tells of no task, so the tasks are listed: for all groups at once, every fifth of a second
while something changes, more seldom when nothing does, and never so often that it would take more
than a tenth of the time. An event of the engine that is asked makes the next look come at once, and
a container that ended there is lost before Swarm says so. An answer that does not come is doubt:
nothing is lost by it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from ...engine import Row, Services
from ...spi.errors import IkdemoError
from ...spi.events import Emit, Event
from ..common import ExitReason, announce
from ..output import Outputs
from ..single_flight import SingleFlight
from .slot_service import NAMESPACE, SlotService, slot_service_of
from .task_events import TaskEvents, remember
from .tasks import (
    WANTED,
    LiveInstance,
    exit_reason,
    exit_reason_of_status,
    is_wanted,
    living,
    newest_of,
)

FAST, IDLE = 0.2, 0.5
"""Seconds between two looks while something changes, and when nothing does."""
AT_ONCE = 0.02
"""Seconds between two looks, the second of which an event brought."""
SHARE = 10
"""How many times as long as a look takes is waited for the next one."""
BUSY = 3.0
"""Seconds after a change in which more is expected to change."""
LATER = 2.0
"""Seconds between two attempts to reach a swarm, the most after doubling."""
LINES, OUTPUT_WAIT = 200, 1.0
"""Lines of a dead task's output that are kept, and seconds that reading them may take."""

log = logging.getLogger(__name__)


class TaskWatch:
    """The instances of one namespace, from ``start`` to ``stop``. ``living``: as the latest look
    found them; ``slots``: all services of slots, by ID; ``awaited``: instances that are being made
    or ended by this plugin, of which nothing else is told. ``over``: instances whose task has
    ended, and how. ``ended``: tasks whose containers were seen to end, with their exit statuses.
    ``begun`` looks there were, ``succeeded`` is the number of the latest that said something.
    ``after_look`` is awaited after each look that nobody asked for.
    """

    def __init__(self, services: Services, namespace: str, emit: Emit) -> None:
        self.services, self.namespace, self.outputs = services, namespace, Outputs()
        self.after_look: Callable[[], Awaitable[None]] | None = None
        self.living: dict[str, LiveInstance] = {}
        self.slots: dict[str, SlotService] = {}
        self.awaited = Counter[str]()
        self.over: dict[str, ExitReason] = {}
        self.first_look = asyncio.Event()
        self._emit, self._last_error = emit, ""
        self._told: dict[str, LiveInstance] = {}
        self._since: dict[str, float] = {}
        self._destroyed: dict[str, int] = {}
        self._unplaced: set[str] = set()
        self.begun, self.succeeded, self._changed, self._cost = 0, 0, 0.0, 0.0
        self._wake, self._news = asyncio.Event(), asyncio.Event()
        self._looks = SingleFlight[str, None]()
        self._reports = SingleFlight[str, None]()
        self._engine_events = TaskEvents(services, namespace, self._wake.set)
        self.ended = self._engine_events.ended
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._watch(), name="task watch")

    async def stop(self) -> None:
        """Look no longer."""
        await self._reports.finish()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._looks.finish()
        await self._engine_events.stop()

    async def look(self) -> dict[str, LiveInstance]:
        """Return the living instances as they are now; those who ask meanwhile share a look that
        began after they asked. Raises what the engine raises.
        """
        asked = self.begun
        while self.succeeded <= asked:
            await self._looks.do("look", self._look, name="look at the swarm")
        return self.living

    @contextmanager
    def awaiting(self, instance: str) -> Iterator[None]:
        """Tell nothing of an instance while it is being made, or ended."""
        self.awaited[instance] += 1
        self._wake.set()
        try:
            yield
        finally:
            self.awaited[instance] -= 1
            self.awaited = +self.awaited

    def wake(self) -> None:
        """Have the next look come at once."""
        self._wake.set()

    async def next_look(self) -> None:
        """Wait until the next look has ended, however it ends."""
        await self._news.wait()

    def made(self, one: LiveInstance) -> None:
        """Tell of an instance that this plugin made."""
        if one.labels.instance not in self._told:
            self._told[one.labels.instance] = one
            image = one.held.service.container.get("Image", "")
            announce(self._emit, "provisioned", one.labels.description, f"a task of {image}")

    def destroyed(self, one: LiveInstance) -> None:
        """Tell of an instance that this plugin ended; a look that began before does not bring it
        back.
        """
        instance = one.labels.instance
        remember(self._destroyed, instance, self.begun)
        self._told.pop(instance, None)
        self.living.pop(instance, None)
        announce(self._emit, "destroyed", one.labels.description, "its slot was emptied")

    async def _watch(self) -> None:
        wait, clock = FAST, asyncio.get_running_loop().time
        while True:
            self._engine_events.listen(clock())
            try:
                await self.look()
                self._connected()
                if self.after_look is not None:
                    await self.after_look()
                wait = self._pause(clock())
            except IkdemoError as error:
                self._disconnected(error)
                wait = min(LATER, 2 * wait)
            except Exception:  # a bug in one look must not end all others
                log.exception("What the swarm told could not be taken")
                wait = LATER
            self.first_look.set()
            news, self._news = self._news, asyncio.Event()
            news.set()
            await asyncio.sleep(max(AT_ONCE, self._cost))
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    def _pause(self, now: float) -> float:
        changes = self.awaited or any(one.state != "running" for one in self.living.values())
        wait = FAST if changes or now - self._changed < BUSY else IDLE
        return max(wait, SHARE * self._cost)

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        self.begun += 1
        number, began, before = self.begun, clock(), dict(self._told)
        mine = [f"{NAMESPACE}={self.namespace}"]
        services = await self.services.services(label=mine)
        slots = [
            held for one in services if (held := slot_service_of(one, self.namespace)) is not None
        ]
        tasks = await self.services.tasks(label=mine, desired_state=WANTED)
        found = living(slots, tasks, self.ended, self.over)
        await self._look_closer(found)
        for instance in [one for one in found if self._destroyed.get(one, 0) >= number]:
            del found[instance]
        self._cost = clock() - began
        self.slots = {held.service.id: held for held in slots}
        if found.keys() != self.living.keys():
            self._changed = clock()
        first, self.living, self.succeeded = not self.succeeded, found, number
        self._tell_lost(before, found)
        self._tell_found(found, first, clock())

    async def _look_closer(self, found: dict[str, LiveInstance]) -> None:
        """Find out of filled slots without a task that is wanted whether it ended, and how, or is
        still to be made.
        """
        waiting = {name: one for name, one in found.items() if one.task is None}
        if not waiting:
            return
        asked = (self.services.tasks_of(one.held.service.id) for one in waiting.values())
        listed = await asyncio.gather(*asked)
        nodes: dict[str, Row] | None = None
        for (instance, one), tasks in zip(waiting.items(), listed, strict=True):
            task = newest_of(instance, tasks)
            if task is None:
                continue
            if is_wanted(task, self.ended):
                found[instance] = one._replace(task=task)
                continue
            nodes = await self._nodes() if nodes is None else nodes
            remember(self.over, instance, self._reason(instance, task, nodes))
            del found[instance]
            if self.over[instance].code != "killed":
                self._begin_report(instance, str(task["ID"]))

    async def _nodes(self) -> dict[str, Row]:
        try:
            return await self.services.nodes()
        except IkdemoError:
            return {}  # they only make a sentence better

    def _reason(self, instance: str, task: Row, nodes: dict[str, Row]) -> ExitReason:
        since = self._since.get(instance)
        age = asyncio.get_running_loop().time() - since if since is not None else None
        if task["ID"] in self.ended and is_wanted(task):
            return exit_reason_of_status(self.ended[task["ID"]], age)
        return exit_reason(task, age, nodes.get(task.get("NodeID", "")))

    def _begin_report(self, instance: str, task: str) -> None:
        self._reports.begin(
            instance, lambda: self._keep_output(instance, task), name=f"output of {instance}"
        )

    async def _keep_output(self, instance: str, task: str) -> None:
        """Remember what an instance printed that ended by itself, then tell that it is lost."""
        last = ""
        try:
            async with asyncio.timeout(OUTPUT_WAIT):
                last = self.outputs.keep(instance, await self.services.task_logs(task, LINES))
        except (IkdemoError, TimeoutError):
            pass
        one = self._told.pop(instance, None)
        if one is not None and instance not in self.awaited:
            reason = self.over[instance]
            text = reason.text + (f"; it said last: {last}" if last else "")
            announce(self._emit, "lost", one.labels.description, text, reason.code)

    def _tell_lost(self, before: dict[str, LiveInstance], found: dict[str, LiveInstance]) -> None:
        """Tell of instances that were there before this look began, and are no more."""
        for instance, one in before.items():
            if instance in found or instance in self.awaited or instance in self._reports:
                continue
            if self._told.pop(instance, None) is None:
                continue
            held = self.slots.get(one.held.service.id)
            if instance in self.over:
                code, text = self.over[instance]
            elif held is None:
                code, text = "killed", "its service was removed"
            else:
                announce(
                    self._emit,
                    "destroyed",
                    one.labels.description,
                    "its slot was emptied elsewhere",
                )
                continue
            announce(self._emit, "lost", one.labels.description, text, code)
        self._since = {name: at for name, at in self._since.items() if name in found}

    def _tell_found(self, found: dict[str, LiveInstance], first: bool, now: float) -> None:
        """Tell of instances that are new, and of those that Swarm cannot place."""
        for instance, one in found.items():
            if one.state == "running" and not first:
                self._since.setdefault(instance, now)
            if instance in self.awaited:
                continue
            if instance not in self._told and not first:
                announce(self._emit, "provisioned", one.labels.description, "was found")
            self._told[instance] = one
            if one.unplaced and instance not in self._unplaced:
                self._report(f"{instance} waits for a node: {one.unplaced}", one)
        self._unplaced = {name for name, one in found.items() if one.unplaced}

    def _connected(self) -> None:
        if self._last_error:
            self._report(f"the swarm answers again at {self.services.engine.host}")
        self._last_error = ""

    def _disconnected(self, error: IkdemoError) -> None:
        if not self._last_error:
            self._report(str(error))
        self._last_error = str(error)

    def _report(self, text: str, one: LiveInstance | None = None) -> None:
        log.warning("%s", text)
        labels = one.labels if one is not None else None
        self._emit(
            Event(
                "reported",
                group=labels.group if labels else "",
                instance=labels.instance if labels else "",
                slot=(labels.slot or "") if labels else "",
                text=text,
            )
        )
