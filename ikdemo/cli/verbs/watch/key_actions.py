"""What the keys of ``ikdemo watch`` do: choose a slot, end its instance, pause, resume and step the
loop.

Each is asked of a plugin over its socket, and ends in one sentence, whatever comes of it; a process
is killed as a person would, by the pid that its plugin tells.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ....instance import procfs
from ....instance.common import PID_TAG
from ....lab.dashboard.view_model import Lane
from ....spi.contracts import GroupPlugin
from ....spi.documents import GROUP_TAG
from ....spi.errors import IkdemoError, PluginFailure
from ....spi.events import Event
from ...verb_inputs import reconciling
from .monitor import GroupMonitor

HELP = "up/down slot  k kill its instance  p pause  r resume  s step  g group  q quit"


def choose(monitor: GroupMonitor, key: str) -> None:
    """Choose another slot: the next, the one before, or the one that a digit names."""
    lanes = monitor.view_model().lanes
    if key.isdecimal():
        monitor.chosen = next(
            (row for row, lane in enumerate(lanes) if lane.slot == key), monitor.chosen
        )
    else:
        monitor.chosen += 1 if key == "down" else -1
    monitor.chosen = min(max(0, monitor.chosen), max(0, len(lanes) - 1))
    if lanes:
        monitor.said = f"Slot {lanes[monitor.chosen].slot} is chosen."
    monitor.changed.set()


async def do(monitor: GroupMonitor, key: str) -> None:
    """Do what a key asks for, and say what came of it."""
    try:
        monitor.say(await ACTIONS[key](monitor))
    except IkdemoError as error:
        monitor.say(f"{error}.")


async def kill(monitor: GroupMonitor) -> str:
    """End the instance in the chosen slot: ``kill -9`` where it is a process, else its plugin is
    asked to destroy it.
    """
    lanes = monitor.view_model().lanes
    if not lanes:
        raise PluginFailure("There is no slot whose instance could be killed")
    lane = lanes[min(monitor.chosen, len(lanes) - 1)]
    instance = _living(lane)
    found = await monitor.found.instance(monitor.instance_plugin)
    described = await found.plugin.describe_instances({GROUP_TAG: monitor.group})
    tags = next((one.tags or {} for one in described if one.id == instance), None)
    if tags is None:
        raise PluginFailure(f"{instance} in slot {lane.slot} is gone already")
    pid = tags.get(PID_TAG, "")
    what = (
        f"kill -9 {pid} for"
        if pid.isdecimal()
        else f"{monitor.instance_plugin} is asked to destroy"
    )
    fault = Event("fault", time.time(), "watch", monitor.group, instance, lane.slot, text=what)
    monitor.note(fault)
    try:
        if pid.isdecimal():
            _kill_process(int(pid), instance)
            return f"kill -9 {pid}: that was {instance} in slot {lane.slot}."
        await found.plugin.destroy(instance)
    except IkdemoError:
        monitor.note(
            Event(
                "mended",
                time.time(),
                "watch",
                monitor.group,
                instance,
                lane.slot,
                text="could not kill",
            )
        )
        raise
    return f"{monitor.instance_plugin} has destroyed {instance} in slot {lane.slot}."


def _living(lane: Lane) -> str:
    instance = next((life.instance for life in reversed(lane.lives) if life.died is None), "")
    if not instance:
        raise PluginFailure(f"Slot {lane.slot} is empty: there is nothing to kill")
    return instance


def _kill_process(pid: int, instance: str) -> None:
    """Kill a process if it is an instance's; the pid may be another one's by now. Raises
    PluginFailure.
    """
    try:
        held = os.pidfd_open(pid)
    except (OSError, OverflowError):
        raise PluginFailure(f"There is no process {pid}, which was to be {instance}") from None
    try:
        if procfs.environment(pid).get(b"INSTANCE_ID", b"").decode(errors="replace") != instance:
            raise PluginFailure(f"Process {pid} is not {instance}, so it is left alone")
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(held, signal.SIGKILL)
    except PermissionError:
        raise PluginFailure(f"Process {pid} may not be killed by you") from None
    finally:
        os.close(held)


async def pause(monitor: GroupMonitor) -> str:
    await (await _loop(monitor)).pause_group(monitor.group)
    return (
        f"Paused {monitor.group}: its loop looks, and does nothing until it is resumed or stepped."
    )


async def resume(monitor: GroupMonitor) -> str:
    await (await _loop(monitor)).resume_group(monitor.group)
    return f"Resumed {monitor.group}."


async def step(monitor: GroupMonitor) -> str:
    done = len((await (await _loop(monitor)).step_group(monitor.group)).outcomes)
    return f"One pass was made: {done} {'action' if done == 1 else 'actions'}."


async def _loop(monitor: GroupMonitor) -> GroupPlugin:
    return reconciling(await monitor.found.group(monitor.group_plugin), monitor.group_plugin)


KeyAction = Callable[[GroupMonitor], Awaitable[str]]
ACTIONS: dict[str, KeyAction] = {"k": kill, "p": pause, "r": resume, "s": step}


class KeyActions:
    """The keys that are being obeyed: each one once at a time, and none of them waited for."""

    def __init__(self) -> None:
        self._busy: dict[str, asyncio.Task[None]] = {}

    def press(self, monitor: GroupMonitor, key: str) -> None:
        """Do what a key asks for; a key that means nothing says which ones do."""
        if key in ("up", "down") or key.isdecimal():
            choose(monitor, key)
        elif key not in ACTIONS:
            monitor.say(
                f"{key!r} is no key here. There are: up, down, {', '.join(ACTIONS)}, g and q."
            )
        elif key in self._busy and not self._busy[key].done():
            monitor.say(f"{ACTIONS[key].__name__}: that is being done already.")
        else:
            monitor.say(f"{ACTIONS[key].__name__} …")
            self._busy[key] = asyncio.create_task(do(monitor, key))

    def drop(self) -> None:
        """Wait for nothing that was begun; what a plugin was asked, it does."""
        for task in self._busy.values():
            task.cancel()
