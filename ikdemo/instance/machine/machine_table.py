"""The machines of a plugin: those that are on and those that boot, restored from the state files
at the start, booted, ended, lost.

Keeps memory, state files and disks equal, and tells what happens as events. State changes in the
event loop only; what blocks, and concerns one machine alone, is done in threads.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from msgspec.structs import replace

from ...spi.documents import GROUP_TAG
from ...spi.errors import PluginFailure
from ...spi.events import Emit, Event
from .. import procfs
from ..common import PID_TAG, ExitReason, announce
from ..output import Outputs
from ..output_limit import OutputLimit
from ..single_flight import SingleFlight
from . import machine
from .machine import NUMBERS, MachinePlace, Running
from .machine_record import MachineFiles, MachineRecord
from .orphans import disks_in, end_machines
from .switch import Switch

log = logging.getLogger(__name__)


class KeptMachine:
    """A machine from the decision to boot it until it is off. ``running`` is None while it boots;
    ``is_ending``: its end was asked for.
    """

    def __init__(self, record: MachineRecord, place: MachinePlace) -> None:
        self.record, self.place = record, place
        self.running: Running | None = None
        self.is_ending = False
        self._pidfd = -1

    def hold(self, running: Running, ended: Callable[[KeptMachine], None]) -> None:
        """Hold the first process of a machine that is on, and have ``ended`` called when it is off.

        Raises ProcessLookupError when it is off already, PluginFailure in doubt.
        """
        what = f"{self.record.id} (pid {running.pid})"
        self._pidfd = procfs.hold(running.pid, running.start, what)
        self.running = running
        asyncio.get_running_loop().add_reader(self._pidfd, ended, self)

    def release(self) -> None:
        """Hold it no longer; it goes on if it is on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1


class MachineTable:
    """Machines by ID, from ``restore`` to ``close``."""

    def __init__(self, state_files: MachineFiles, emit: Emit) -> None:
        self.state_files, self.outputs = state_files, Outputs()
        self._emit = emit
        self._machines: dict[str, KeptMachine] = {}
        self._boots, self._ends = SingleFlight[str, None](), SingleFlight[str, None]()
        self._erasures: dict[asyncio.Task[None], int] = {}
        self._switch: Switch | None = None
        self._making_switch = asyncio.Lock()
        self._last_number = 0
        self._output_limit: OutputLimit | None = None

    def __iter__(self) -> Iterator[KeptMachine]:
        """Yield every machine, also those that boot, in the order of the IDs."""
        return iter([self._machines[instance] for instance in sorted(self._machines)])

    def __len__(self) -> int:
        return len(self._machines)

    def get(self, instance: str) -> KeptMachine | None:
        """Return a machine by its ID."""
        return self._machines.get(instance)

    def place(self, number: int, instance: str = "") -> MachinePlace:
        """Return what the machine of a number has on this host."""
        return MachinePlace(self.state_files.path, number, self.state_files.owner, instance)

    def free_number(self) -> int:
        """Return the number after the last one that no machine has, nor the disk of one; raises
        PluginFailure.
        """
        taken = {kept.record.number for kept in self} | set(self._erasures.values())
        for step in range(len(NUMBERS)):
            number = NUMBERS[(self._last_number + step) % len(NUMBERS)]
            if number not in taken:
                self._last_number = number
                return number
        raise PluginFailure(f"no room: all {len(NUMBERS)} numbers of machines are taken")

    async def restore(self) -> None:
        """Restore what is on, tell as lost what is not, and end every machine of ours that no state
        file knows.

        Raises PluginFailure, and has told nothing then, when it cannot be told which those are.
        """
        try:
            await self._restore()
        except BaseException:
            self._release()
            raise
        self._output_limit = OutputLimit(
            lambda: self._machines, lambda instance: self._machines[instance].place.outputs
        )

    async def _restore(self) -> None:
        found, gone = self.state_files.read(), []
        for record in found.records:
            kept = KeptMachine(record, self.place(record.number, record.id))
            try:
                if record.boot != procfs.boot():
                    raise ProcessLookupError(record.pid)
                kept.hold(Running(record.pid, record.start, 0), self._off)
            except ProcessLookupError:
                gone.append(record)
            else:
                self._machines[record.id] = kept
                self._last_number = max(self._last_number, record.number)
                if self._switch is None:
                    with suppress(PluginFailure):  # it is just ending
                        self._switch = Switch.of(record.pid)
        known = {*self._machines, *found.doubtful}
        await asyncio.to_thread(end_machines, self.state_files.owner, known)
        for text in found.complaints:  # from here on all is known that there is to know
            log.warning("%s: %s", self.state_files.path, text)
            self._emit(Event("reported", text=f"{self.state_files.path}: {text}"))
        for record in gone:
            reason = ExitReason("unknown", "ended while its plugin was away")
            self._tell_lost(record, self.place(record.number, record.id), reason)
        if not found.doubtful:  # of those it is not known which disk is theirs
            living = {kept.record.number for kept in self}
            for number in set(disks_in(self.state_files.path)) - living:
                await asyncio.to_thread(machine.erase, self.place(number))

    async def close(self) -> None:
        """Finish what was begun, and hold nothing any longer; what is on goes on."""
        await self._boots.finish()
        await self._ends.finish()
        await asyncio.gather(*self._erasures, return_exceptions=True)
        if self._output_limit is not None:
            await self._output_limit.stop()
        self._release()

    async def boot(self, record: MachineRecord, init: str, image: bytes) -> None:
        """Boot a machine that is new, and keep it; it counts from this call on, and boots on if the
        caller goes away.

        Raises PluginFailure, and nothing of it is left then. Killed half-way leaves a machine that
        is known, or one that the next start ends.
        """
        kept = KeptMachine(record, self.place(record.number, record.id))
        self._machines[record.id] = kept
        await self._boots.do(
            record.id, lambda: self._boot(kept, init, image), name=f"boot of {record.id}"
        )

    async def booted(self, instance: str) -> None:
        """Wait until a machine has booted, if it is doing that; raises what its boot raises."""
        if instance in self._boots:
            await asyncio.shield(self._boots.tasks[instance])

    async def _boot(self, kept: KeptMachine, init: str, image: bytes) -> None:
        running = None
        try:
            switch = await self._connected()
            running = await asyncio.to_thread(machine.make, kept.place, switch, init, image)
            tags = {PID_TAG: str(running.pid), **(kept.record.tags or {})}
            kept.record = replace(kept.record, pid=running.pid, start=running.start, tags=tags)
            self.state_files.write(kept.record)
            kept.hold(running, self._off)
        except BaseException as error:
            if running is not None:
                await asyncio.to_thread(machine.power_off, running)
            await asyncio.to_thread(machine.erase, kept.place)
            self.state_files.remove(kept.record.id)
            del self._machines[kept.record.id]
            if isinstance(error, ProcessLookupError):
                raise PluginFailure(f"{kept.place.name} was killed when it had booted") from None
            raise
        told = f"{kept.place.name} (pid {running.pid}) boots"
        announce(self._emit, "provisioned", kept.record.description, told)

    async def _connected(self) -> Switch:
        async with self._making_switch:
            if self._switch is None:
                self._switch = await asyncio.to_thread(Switch.make)
            return self._switch

    async def end(self, instance: str) -> None:
        """Cut the power of a machine and erase it; goes on if the caller goes away, and a second
        caller waits for the same end.
        """
        await self._ends.do(instance, lambda: self._end(instance), name=f"end of {instance}")

    async def _end(self, instance: str) -> None:
        with suppress(PluginFailure):
            await self.booted(instance)
        kept = self._machines.get(instance)
        if kept is None or kept.running is None:
            return  # it ended by itself just now, or did not boot
        kept.is_ending = True
        try:
            await asyncio.to_thread(machine.power_off, kept.running)
        except PluginFailure:
            kept.is_ending = False
            raise
        self._drop(kept)
        self._forget(kept.record, kept.place)
        announce(self._emit, "destroyed", kept.record.description, f"{kept.place.name} was ended")
        await asyncio.shield(self._erase(kept))

    def _off(self, kept: KeptMachine) -> None:
        """A machine is off; unless that was asked for, it is lost."""
        if kept.is_ending:
            kept.release()
            return
        self._drop(kept)
        reason = ExitReason("killed", f"{kept.place.name} is off: its power was cut")
        self._tell_lost(kept.record, kept.place, reason)
        self._erase(kept)

    def _drop(self, kept: KeptMachine) -> None:
        kept.release()
        del self._machines[kept.record.id]

    def _erase(self, kept: KeptMachine) -> asyncio.Task[None]:
        """Begin to remove what a machine that is off has left; its number is taken meanwhile."""
        task = asyncio.create_task(
            asyncio.to_thread(_clear, kept), name=f"removal of {kept.place.disk}"
        )
        self._erasures[task] = kept.record.number
        task.add_done_callback(self._erasures.pop)
        return task

    def _tell_lost(self, record: MachineRecord, place: MachinePlace, reason: ExitReason) -> None:
        self._forget(record, place)
        announce(self._emit, "lost", record.description, reason.text, reason.code)

    def _forget(self, record: MachineRecord, place: MachinePlace) -> None:
        """Remove what was kept of a machine, but the end of what it printed."""
        self.outputs.keep_log(record.id, place.log)
        self.state_files.remove(record.id)

    def _release(self) -> None:
        for kept in self._machines.values():
            kept.release()
        self._machines.clear()
        if self._switch is not None:
            self._switch.close()
            self._switch = None


def _clear(kept: KeptMachine) -> None:
    if kept.running is not None:
        machine.reap(kept.running)
    machine.erase(kept.place)


def group_of(kept: KeptMachine) -> str:
    """Return the group of a machine, by its tag; empty where it has none."""
    return (kept.record.tags or {}).get(GROUP_TAG, "")
