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

from ....instance.common import PID_TAG
from ....instance.process import procfs
from ....lab.dashboard.view_model import Lane
from ....spi.contracts import GroupPlugin
from ....spi.documents import GROUP_TAG
from ....spi.errors import IkdemoError, PluginFailure
from ....spi.events import Event
from ...connections import reconciling
from .stage import Stage

HELP = "up/down slot  k kill its instance  p pause  r resume  s step  g group  q quit"


def choose(stage: Stage, key: str) -> None:
    """Choose another slot: the next, the one before, or the one that a digit names."""
    lanes = stage.scene().lanes
    if key.isdecimal():
        stage.chosen = next(
            (row for row, lane in enumerate(lanes) if lane.slot == key), stage.chosen
        )
    else:
        stage.chosen += 1 if key == "down" else -1
    stage.chosen = min(max(0, stage.chosen), max(0, len(lanes) - 1))
    if lanes:
        stage.said = f"Slot {lanes[stage.chosen].slot} is chosen."
    stage.changed.set()


async def do(stage: Stage, key: str) -> None:
    """Do what a key asks for, and say what came of it."""
    try:
        stage.say(await DEEDS[key](stage))
    except IkdemoError as error:
        stage.say(f"{error}.")


async def kill(stage: Stage) -> str:
    """End the instance in the chosen slot: ``kill -9`` where it is a process, else its plugin is
    asked to destroy it.
    """
    lanes = stage.scene().lanes
    if not lanes:
        raise PluginFailure("There is no slot whose instance could be killed")
    lane = lanes[min(stage.chosen, len(lanes) - 1)]
    instance = _living(lane)
    found = await stage.found.instance(stage.maker)
    described = await found.plugin.describe_instances({GROUP_TAG: stage.group})
    tags = next((one.tags or {} for one in described if one.id == instance), None)
    if tags is None:
        raise PluginFailure(f"{instance} in slot {lane.slot} is gone already")
    pid = tags.get(PID_TAG, "")
    what = f"kill -9 {pid} for" if pid.isdecimal() else f"{stage.maker} is asked to destroy"
    fault = Event("fault", time.time(), "watch", stage.group, instance, lane.slot, text=what)
    stage.note(fault)
    try:
        if pid.isdecimal():
            _kill_process(int(pid), instance)
            return f"kill -9 {pid}: that was {instance} in slot {lane.slot}."
        await found.plugin.destroy(instance)
    except IkdemoError:
        stage.note(
            Event(
                "mended",
                time.time(),
                "watch",
                stage.group,
                instance,
                lane.slot,
                text="could not kill",
            )
        )
        raise
    return f"{stage.maker} has destroyed {instance} in slot {lane.slot}."


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


async def pause(stage: Stage) -> str:
    await (await _loop(stage)).pause_group(stage.group)
    return f"Paused {stage.group}: its loop looks, and does nothing until it is resumed or stepped."


async def resume(stage: Stage) -> str:
    await (await _loop(stage)).resume_group(stage.group)
    return f"Resumed {stage.group}."


async def step(stage: Stage) -> str:
    done = len((await (await _loop(stage)).step_group(stage.group)).outcomes)
    return f"One pass was made: {done} {'action' if done == 1 else 'actions'}."


async def _loop(stage: Stage) -> GroupPlugin:
    return reconciling(await stage.found.group(stage.keeper), stage.keeper)


Deed = Callable[[Stage], Awaitable[str]]
DEEDS: dict[str, Deed] = {"k": kill, "p": pause, "r": resume, "s": step}


class Hands:
    """The keys that are being obeyed: each one once at a time, and none of them waited for."""

    def __init__(self) -> None:
        self._busy: dict[str, asyncio.Task[None]] = {}

    def press(self, stage: Stage, key: str) -> None:
        """Do what a key asks for; a key that means nothing says which ones do."""
        if key in ("up", "down") or key.isdecimal():
            choose(stage, key)
        elif key not in DEEDS:
            stage.say(f"{key!r} is no key here. There are: up, down, {', '.join(DEEDS)}, g and q.")
        elif key in self._busy and not self._busy[key].done():
            stage.say(f"{DEEDS[key].__name__}: that is being done already.")
        else:
            stage.say(f"{DEEDS[key].__name__} …")
            self._busy[key] = asyncio.create_task(do(stage, key))

    def drop(self) -> None:
        """Wait for nothing that was begun; what a plugin was asked, it does."""
        for task in self._busy.values():
            task.cancel()
