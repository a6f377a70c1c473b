"""The verbs of ``ikdemo group`` that show and steer the loop: why, plan, pause, resume, step, wait,
and more of ls and free.

They need the Reconcile extension, which our group plugin has and InfraKit's has not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from ...reconcile.plan import sentences
from ...reconcile.waiting import ConvergenceWait, being_destroyed
from ...spi.durations import format_duration
from ...spi.errors import (
    IkdemoError,
    NotConverged,
    OutcomeUnknown,
    PluginFailure,
    PluginUnavailable,
)
from ...spi.plans import Reason, Step
from .. import columns
from ..commands import QUIET, Invocation, Verb, say, show
from ..flags import Flag, duration, switch
from ..verb_inputs import peers, reconciling
from .group_verbs import free as free_only
from .group_verbs import listed, named
from .group_verbs import ls as ls_only

if TYPE_CHECKING:
    from ...rpc.peers import Peers
    from ...spi.contracts import GroupPlugin

FORCE = Flag(
    "force",
    "also while it is being destroyed or a plugin is away; say what it leaves",
    switch,
    False,
)
TIMEOUT = Flag("timeout", "how long to wait at most", duration, 30.0, placeholder="duration")
POLL = 1.0
"""Seconds between two looks at a group that is waited for, at most."""
LOOK_WAIT = 5.0
"""Seconds that a group has to say what it is when all are listed."""


@asynccontextmanager
async def _loop(call: Invocation) -> AsyncIterator[GroupPlugin]:
    async with named(call) as found:
        yield reconciling(found, call["name"])


async def why(call: Invocation) -> None:
    group = call.arguments[0]
    async with _loop(call) as loop:
        reasons = await loop.why_group(group)
    if reasons:
        show(columns.reason_rows(reasons, time.time()))
        if being_destroyed(reasons):
            say(
                f"{group} is being destroyed. To let it go at once, with what is left of it: "
                f"ikdemo group free --force {group}"
            )
    else:
        say(f"{group} is converged: everything is as it was committed")


async def plan(call: Invocation) -> None:
    async with _loop(call) as loop:
        _show(call.arguments[0], await loop.plan_group(call.arguments[0]), "Nothing to do")


async def step(call: Invocation) -> None:
    async with _loop(call) as loop:
        _show(call.arguments[0], await loop.step_group(call.arguments[0]), "Nothing was to be done")


def _show(group: str, step: Step, idle: str) -> None:
    """Print the actions of a pass, or that there are none and what is awaited."""
    reasons = [reason for reason in step.plan.reasons if reason.code != "paused"]
    if step.plan.actions:
        show(columns.step_rows(step))
    elif reasons:
        say(f"{idle} now for {group}:")
        show(columns.reason_rows(reasons, time.time()))
    else:
        say(f"{idle}: {group} is converged")


async def pause(call: Invocation) -> None:
    async with _loop(call) as loop:
        await loop.pause_group(call.arguments[0])
    say(f"Paused {call.arguments[0]}")


async def resume(call: Invocation) -> None:
    async with _loop(call) as loop:
        await loop.resume_group(call.arguments[0])
    say(f"Resumed {call.arguments[0]}")


async def free(call: Invocation) -> None:
    group = call.arguments[0]
    if not call["force"]:
        await free_only(call)
        return
    async with _loop(call) as loop:
        freed = await loop.force_free(group, True)
    say(f"Freed {group}")
    if freed.left is None:
        say(freed.text or "What it leaves cannot be told")
    elif freed.left:
        say(f"Nothing keeps these any more: {', '.join(freed.left)}")
    else:
        say("It leaves no instance")


async def ls(call: Invocation) -> None:
    async with named(call) as found:
        groups = [spec.id for spec in await listed(found)]
        if call["quiet"] or "Reconcile" not in found.offers:
            await ls_only(call)
            return
        states = await asyncio.gather(*(_state(found.plugin, group) for group in groups))
    show(columns.table(("ID", "STATE"), zip(groups, states, strict=True)))


async def _state(loop: GroupPlugin, group: str) -> str:
    """Say in a word or two what a group is."""
    try:
        async with asyncio.timeout(LOOK_WAIT):
            reasons = await loop.why_group(group)
    except (IkdemoError, TimeoutError):
        return "not known"
    if being_destroyed(reasons):
        return "being destroyed"
    paused = "paused" if any(reason.code == "paused" for reason in reasons) else ""
    return paused or ("not as committed" if reasons else "converged")


async def wait(call: Invocation) -> None:
    group, began = call.arguments[0], time.monotonic()
    reasons: list[Reason] = []
    said: set[str] = set()
    waiting = ConvergenceWait(group)
    try:
        async with (
            asyncio.timeout(call["timeout"]),
            peers(call.directory) as found,
            _woken(found, call["name"], waiting) as woken,
        ):
            while reasons := await _reasons(found, call["name"], waiting):
                for text in sentences(reasons):
                    if text not in said:
                        say(f"{time.monotonic() - began:7.1f}s  {text}")
                said = set(sentences(reasons))
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await woken.wait()
                woken.clear()
    except TimeoutError:
        raise NotConverged(
            f"{group} is not as committed after {format_duration(call['timeout'])}",
            sentences(reasons),
        ) from None
    say(f"{group} is converged after {format_duration(time.monotonic() - began)}")


async def _reasons(found: Peers, name: str, waiting: ConvergenceWait) -> list[Reason]:
    """Say why the group is not as wanted, nothing when it is. A plugin that is away is a reason, an
    unknown group an error.
    """
    group = waiting.group
    try:
        plugin = await found.group(name)
        if "Reconcile" in plugin.offers:
            reasons = await plugin.plugin.why_group(group)
            waiting.on_reasons(reasons)
            # paused, and nothing to do
            return reasons if any(reason.code != "paused" for reason in reasons) else []
        converged = (await plugin.plugin.describe_group(group)).converged
        waiting.on_reasons(())
        return (
            []
            if converged
            else [Reason("provisioning", "the group plugin says no more than: not converged")]
        )
    except (PluginUnavailable, OutcomeUnknown) as error:
        return [Reason("plugin-unreachable", str(error))]
    except PluginFailure as error:
        raise waiting.on_error(error) from None


@asynccontextmanager
async def _woken(found: Peers, name: str, waiting: ConvergenceWait) -> AsyncIterator[asyncio.Event]:
    """Give an asyncio event that is set whenever the plugin says something of the group, or
    something was missed.
    """
    woken, began = asyncio.Event(), time.time()

    async def listen() -> None:
        async for batch in found.events(name):
            told = [event for event in batch.events if event.group == waiting.group]
            waiting.on_events(event.kind for event in told if event.time >= began)
            if batch.gap or told:
                woken.set()

    listening = asyncio.create_task(listen())
    try:
        yield woken
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


LOOP = (
    Verb("ls", "", "List the groups that are kept, and what they are", ls, (QUIET,)),
    Verb("free", "ID", "Stop keeping a group; its instances stay", free, (FORCE,)),
    Verb("why", "ID", "Say why a group is not as it was committed", why),
    Verb("plan", "ID", "Print what the loop would do now", plan),
    Verb("pause", "ID", "Keep the loop from acting", pause),
    Verb("step", "ID", "Let a paused loop make one pass", step),
    Verb("resume", "ID", "Let the loop act again, and try again what it stopped trying", resume),
    Verb("wait", "ID", "Wait until a group is as it was committed", wait, (TIMEOUT,)),
)
