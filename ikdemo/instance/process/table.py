"""The instances of a process plugin that live: taken up from the register at the start, added,
ended, lost.

Keeps memory and register equal, and tells what happens as events. Called by ``process``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterator, Set

from ...spi.errors import PluginFailure
from ...spi.events import Emit, Event
from ..common import ExitReason, announce
from ..output import Outputs
from ..single_flight import SingleFlight
from . import procfs
from .descendants import Looks, Processes, look
from .descriptors import check_free
from .orphans import ROUNDS, find_orphans, kill_orphans, speak_of_others
from .output_limit import OutputLimit
from .process_group import STEP, ProcessGroup
from .state_files import ProcessRecord, StateFiles

log = logging.getLogger(__name__)


class ProcessTable:
    """Instances by ID, from ``take_up`` to ``leave``."""

    def __init__(self, register: StateFiles, emit: Emit) -> None:
        self.register, self.outputs = register, Outputs()
        self._emit = emit
        self._looks = Looks()
        self._running: dict[str, ProcessGroup] = {}
        self._ends = SingleFlight[str, None]()
        self._clearings: set[asyncio.Task[None]] = set()
        self._cutting: OutputLimit | None = None

    def __iter__(self) -> Iterator[ProcessGroup]:
        """Yield every living instance, in the order of the IDs."""
        return iter([self._running[instance] for instance in sorted(self._running)])

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, instance: str) -> bool:
        """Say whether an instance is alive."""
        return instance in self._running

    def take_up(self) -> None:
        """Take up what lives, tell as lost what does not, and end every process of ours that no
        record knows.

        Raises PluginFailure, and has done nothing then, when of one record it cannot be told
        whether its process lives.
        """
        try:
            self._take_up()
        except BaseException:
            self._let_go()
            raise

    def _take_up(self) -> None:
        found, gone = self.register.read(), []
        for record in found.records:
            try:
                self._running[record.id] = ProcessGroup(
                    record, self.register.owner, self._looks, self._lost
                )
            except ProcessLookupError:
                gone.append(record)
        check_free("go on with the instances that there are")
        known = {*self._running, *found.doubtful}
        processes = look()
        strays = self._strays(processes, found.doubtful, gone)
        speak_of_others(processes, self.register.path, self.register.owner, known)
        orphans = self.register.orphaned_logs(known | {record.id for record in gone})
        for text in found.complaints:  # from here on all is known that there is to know
            log.warning("%s: %s", self.register.path, text)
            self._emit(Event("reported", text=f"{self.register.path}: {text}"))
        for record in gone:
            self._bury(record, ExitReason("unknown", "ended while its plugin was away"))
        for instance in orphans:
            self.register.remove(instance)
        kill_orphans(processes, strays)
        if strays:
            self._in_background(self._clear_strays(found.doubtful, gone), "end of strays")
        self._cutting = OutputLimit(self.register, lambda: self._running)

    def _strays(
        self, processes: Processes, doubtful: Set[str], gone: Collection[ProcessRecord]
    ) -> dict[int, int]:
        """Return what belongs to instances of this register that are not here, by pid and start
        time.
        """
        strays = find_orphans(processes, self.register.owner, {*self._running, *doubtful})
        for record in gone:
            # else neither its pid nor its start means anything now
            if record.boot == procfs.boot():
                strays |= processes.of_instance(
                    record.id, self.register.owner, record.pid, record.start
                )
        return strays

    async def _clear_strays(self, doubtful: Set[str], gone: Collection[ProcessRecord]) -> None:
        """Kill again what was started while the first ones were killed, until nothing is left."""
        killed: dict[int, int] = {}
        for _ in range(ROUNDS):
            await asyncio.sleep(STEP)
            processes = await self._looks.take(0)
            if not (strays := self._strays(processes, doubtful, gone)):
                return
            kill_orphans(processes, dict(strays.items() - killed.items()))
            killed |= strays

    async def leave(self) -> None:
        """Finish the endings that were begun, and hold nothing any longer; what lives goes on."""
        await self._ends.finish()
        await asyncio.gather(*self._clearings, return_exceptions=True)
        if self._cutting is not None:
            await self._cutting.stop()
        self._let_go()

    def _let_go(self) -> None:
        if self._cutting is not None:
            self._cutting.drop()
            self._cutting = None
        for running in self._running.values():
            running.let_go()
        self._running.clear()
        self._looks.close()

    async def add(self, record: ProcessRecord) -> None:
        """Take up a process just started, in memory and in the register; without a record it does
        not stay.

        Raises PluginFailure when it cannot be held (it is the caller's to end then) or registered.
        """
        self._running[record.id] = ProcessGroup(
            record, self.register.owner, self._looks, self._lost
        )
        try:
            self.register.write(record)
        except PluginFailure:
            await self.end(record.id, 0.0)  # a restarted plugin would not know it
            raise
        announce(
            self._emit, "provisioned", record.description, f"pid {record.pid} on port {record.port}"
        )

    async def end(self, instance: str, grace: float) -> None:
        """End an instance; goes on if the caller goes away, and a second caller waits for the same
        end.
        """
        await self._ends.do(instance, lambda: self._end(instance, grace), name=f"end of {instance}")

    async def _end(self, instance: str, grace: float) -> None:
        running = self._running.get(instance)
        if running is None:
            return  # it ended by itself just now
        try:
            await running.end(grace)
        except PluginFailure as error:
            if running.has_ended:
                self._lost(running, ExitReason("killed", f"was ended; {error}"))
            raise
        del self._running[instance]
        self._forget(running.record)
        announce(
            self._emit,
            "destroyed",
            running.record.description,
            f"pid {running.record.pid} was ended",
        )

    def _lost(self, running: ProcessGroup, reason: ExitReason) -> None:
        """An instance ended by itself, or by somebody who did not ask this plugin; what it leaves
        behind is ended.
        """
        del self._running[running.record.id]
        self._bury(running.record, reason)
        self._in_background(running.clear(), f"end of what {running.record.id} left")

    def _in_background(self, clearing: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(self._clear(clearing), name=name)
        self._clearings.add(task)
        task.add_done_callback(self._clearings.discard)

    async def _clear(self, clearing: Coroutine[None, None, None]) -> None:
        try:
            await clearing
        except PluginFailure as error:
            log.warning("What an instance left behind may still run: %s", error)

    def _bury(self, record: ProcessRecord, reason: ExitReason) -> None:
        last = self._forget(record)
        said = f"; it said last: {last}" if last and reason.code in ("died", "early") else ""
        announce(self._emit, "lost", record.description, reason.text + said, reason.code)

    def _forget(self, record: ProcessRecord) -> str:
        """Remove what was kept of an instance, but the end of its output; return its last line."""
        last = self.outputs.bury(record.id, self.register.log(record.id))
        self.register.remove(record.id)
        return last
