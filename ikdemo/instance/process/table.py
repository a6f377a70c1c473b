"""The instances of a process plugin that live: restored from the state files at the start, added,
ended, lost.

Keeps memory and state files equal, and tells what happens as events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterator, Set

from ...spi.documents import GROUP_TAG
from ...spi.errors import PluginFailure
from ...spi.events import Emit, Event
from .. import procfs
from ..common import ExitReason, announce
from ..output import Outputs
from ..output_limit import OutputLimit
from ..single_flight import SingleFlight
from .descendants import Processes, ProcessScans, scan
from .descriptors import check_free
from .orphans import ROUNDS, find_orphans, kill_orphans, warn_of_others
from .process_group import STEP, ProcessGroup
from .process_record import ProcessFiles, ProcessRecord

log = logging.getLogger(__name__)


class ProcessTable:
    """Instances by ID, from ``restore`` to ``close``."""

    def __init__(self, state_files: ProcessFiles, emit: Emit) -> None:
        self.state_files, self.outputs = state_files, Outputs()
        self._emit = emit
        self._scans = ProcessScans()
        self._processes: dict[str, ProcessGroup] = {}
        self._ends = SingleFlight[str, None]()
        self._cleanups: set[asyncio.Task[None]] = set()
        self._output_limit: OutputLimit | None = None

    def __iter__(self) -> Iterator[ProcessGroup]:
        """Yield every living instance, in the order of the IDs."""
        return iter([self._processes[instance] for instance in sorted(self._processes)])

    def __len__(self) -> int:
        return len(self._processes)

    def __contains__(self, instance: str) -> bool:
        """Say whether an instance is alive."""
        return instance in self._processes

    def group_of(self, instance: str) -> str:
        """Return the group of a living instance, by its tag; empty where it has none."""
        return (self._processes[instance].record.tags or {}).get(GROUP_TAG, "")

    def restore(self) -> None:
        """Restore what lives, tell as lost what does not, and end every process of ours that no
        record knows.

        Raises PluginFailure, and has done nothing then, when of one record it cannot be told
        whether its process lives.
        """
        try:
            self._restore()
        except BaseException:
            self._release()
            raise

    def _restore(self) -> None:
        found, gone = self.state_files.read(), []
        for record in found.records:
            try:
                self._processes[record.id] = ProcessGroup(
                    record, self.state_files.owner, self._scans, self._lost
                )
            except ProcessLookupError:
                gone.append(record)
        check_free("go on with the instances that there are")
        known = {*self._processes, *found.doubtful}
        processes = scan()
        orphans = self._orphans(processes, found.doubtful, gone)
        warn_of_others(processes, self.state_files.path, self.state_files.owner, known)
        logs = self.state_files.orphaned_logs(known | {record.id for record in gone})
        for text in found.complaints:  # from here on all is known that there is to know
            log.warning("%s: %s", self.state_files.path, text)
            self._emit(Event("reported", text=f"{self.state_files.path}: {text}"))
        for record in gone:
            self._tell_lost(record, ExitReason("unknown", "ended while its plugin was away"))
        for instance in logs:
            self.state_files.remove(instance)
        kill_orphans(processes, orphans)
        if orphans:
            self._in_background(self._kill_orphans(found.doubtful, gone), "end of orphans")
        self._output_limit = OutputLimit(
            lambda: self._processes,
            lambda instance: (self.state_files.log(instance),),
            self.state_files.fd,
        )

    def _orphans(
        self, processes: Processes, doubtful: Set[str], gone: Collection[ProcessRecord]
    ) -> dict[int, int]:
        """Return what belongs to instances of this plugin that are not here, by pid and start
        time.
        """
        orphans = find_orphans(processes, self.state_files.owner, {*self._processes, *doubtful})
        for record in gone:
            # else neither its pid nor its start means anything now
            if record.boot == procfs.boot():
                orphans |= processes.of_instance(
                    record.id, self.state_files.owner, record.pid, record.start
                )
        return orphans

    async def _kill_orphans(self, doubtful: Set[str], gone: Collection[ProcessRecord]) -> None:
        """Kill again what was started while the first ones were killed, until nothing is left."""
        killed: dict[int, int] = {}
        for _ in range(ROUNDS):
            await asyncio.sleep(STEP)
            processes = await self._scans.scan(0)
            if not (orphans := self._orphans(processes, doubtful, gone)):
                return
            kill_orphans(processes, dict(orphans.items() - killed.items()))
            killed |= orphans

    async def close(self) -> None:
        """Finish the endings that were begun, and hold nothing any longer; what lives goes on."""
        await self._ends.finish()
        await asyncio.gather(*self._cleanups, return_exceptions=True)
        if self._output_limit is not None:
            await self._output_limit.stop()
        self._release()

    def _release(self) -> None:
        if self._output_limit is not None:
            self._output_limit.drop()
            self._output_limit = None
        for process in self._processes.values():
            process.release()
        self._processes.clear()
        self._scans.close()

    async def add(self, record: ProcessRecord) -> None:
        """Take up a process just started, in memory and in a state file; without a record it does
        not stay.

        Raises PluginFailure when it cannot be held (it is the caller's to end then) or registered.
        """
        self._processes[record.id] = ProcessGroup(
            record, self.state_files.owner, self._scans, self._lost
        )
        try:
            self.state_files.write(record)
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
        process = self._processes.get(instance)
        if process is None:
            return  # it ended by itself just now
        try:
            await process.end(grace)
        except PluginFailure as error:
            if process.has_ended:
                self._lost(process, ExitReason("killed", f"was ended; {error}"))
            raise
        del self._processes[instance]
        self._forget(process.record)
        announce(
            self._emit,
            "destroyed",
            process.record.description,
            f"pid {process.record.pid} was ended",
        )

    def _lost(self, process: ProcessGroup, reason: ExitReason) -> None:
        """An instance ended by itself, or from outside, without a request to this plugin; what it
        leaves behind is ended.
        """
        del self._processes[process.record.id]
        self._tell_lost(process.record, reason)
        self._in_background(process.clear(), f"end of what {process.record.id} left")

    def _in_background(self, cleanup: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(self._clear(cleanup), name=name)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    async def _clear(self, cleanup: Coroutine[None, None, None]) -> None:
        try:
            await cleanup
        except PluginFailure as error:
            log.warning("What an instance left behind may still run: %s", error)

    def _tell_lost(self, record: ProcessRecord, reason: ExitReason) -> None:
        last = self._forget(record)
        said = f"; it said last: {last}" if last and reason.code in ("died", "early") else ""
        announce(self._emit, "lost", record.description, reason.text + said, reason.code)

    def _forget(self, record: ProcessRecord) -> str:
        """Remove what was kept of an instance, but the end of its output; return its last line."""
        last = self.outputs.keep_log(record.id, self.state_files.log(record.id))
        self.state_files.remove(record.id)
        return last
