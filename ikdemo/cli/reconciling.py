"""The verbs of ``ikdemo group`` that show and steer the loop: why, plan, pause, resume, step. Loaded by ``commands``.

They need the Reconcile extension, which our group plugin has and InfraKit's has not.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..spi.plans import Step
from . import columns
from .commands import Call, Verb, say, show
from .groups import named
from .reach import reconciling

if TYPE_CHECKING:
    from ..spi.contracts import GroupPlugin


@asynccontextmanager
async def _loop(call: Call) -> AsyncIterator[GroupPlugin]:
    async with named(call) as found:
        yield reconciling(found, call["name"])


async def why(call: Call) -> None:
    group = call.arguments[0]
    async with _loop(call) as loop:
        reasons = await loop.why_group(group)
    if reasons:
        show(columns.reason_rows(reasons, time.time()))
    else:
        say(f"{group} is converged: everything is as it was committed")


async def plan(call: Call) -> None:
    async with _loop(call) as loop:
        _show(call.arguments[0], await loop.plan_group(call.arguments[0]), "Nothing to do")


async def step(call: Call) -> None:
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


async def pause(call: Call) -> None:
    async with _loop(call) as loop:
        await loop.pause_group(call.arguments[0])
    say(f"Paused {call.arguments[0]}")


async def resume(call: Call) -> None:
    async with _loop(call) as loop:
        await loop.resume_group(call.arguments[0])
    say(f"Resumed {call.arguments[0]}")


VERBS = (
    Verb("why", "ID", "Say why a group is not as it was committed", why),
    Verb("plan", "ID", "Print what the loop would do now", plan),
    Verb("pause", "ID", "Keep the loop from acting", pause),
    Verb("step", "ID", "Let a paused loop make one pass", step),
    Verb("resume", "ID", "Let the loop act again, and try again what it stopped trying", resume),
)
