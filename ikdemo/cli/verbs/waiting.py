"""The verb ``ikdemo group wait``: block until a group is as it was committed, and say meanwhile why it is not yet.

It ends early, with what overtook it, when the group is freed, destroyed or paused meanwhile.

Woken by the group plugin's events; the poll is for plugins that have none and for events that were missed. Loaded by
``commands``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ...reconcile.plan import sentences
from ...reconcile.waiting import Waiting
from ...spi.durations import format_duration
from ...spi.errors import NotConverged, OutcomeUnknown, PluginFailure, PluginUnavailable
from ...spi.plans import Reason
from ..commands import Call, Verb, say
from ..connections import peers
from ..flags import Flag, duration

if TYPE_CHECKING:
    from ...rpc.peers import Peers

POLL = 1.0
TIMEOUT = Flag("timeout", "how long to wait at most", duration, 30.0, placeholder="duration")


async def wait(call: Call) -> None:
    group, began = call.arguments[0], time.monotonic()
    reasons: list[Reason] = []
    said: set[str] = set()
    waiting = Waiting(group)
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
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await woken.wait()
                woken.clear()
    except TimeoutError:
        raise NotConverged(f"{group} is not as committed after {format_duration(call['timeout'])}", sentences(reasons)) from None
    say(f"{group} is converged after {format_duration(time.monotonic() - began)}")


async def _reasons(found: Peers, name: str, waiting: Waiting) -> list[Reason]:
    """Say why the group is not as wanted, nothing when it is. A plugin that is away is a reason, an unknown group an error."""
    group = waiting.group
    try:
        plugin = await found.group(name)
        if "Reconcile" in plugin.offers:
            reasons = await plugin.plugin.why_group(group)
            waiting.found(reasons)
            return reasons if any(reason.code != "paused" for reason in reasons) else []  # paused, and nothing to do
        converged = (await plugin.plugin.describe_group(group)).converged
        waiting.found(())
        return [] if converged else [Reason("provisioning", "the group plugin says no more than: not converged")]
    except (PluginUnavailable, OutcomeUnknown) as error:
        return [Reason("plugin-unreachable", str(error))]
    except PluginFailure as error:
        raise waiting.refused(error) from None


@contextlib.asynccontextmanager
async def _woken(found: Peers, name: str, waiting: Waiting) -> AsyncIterator[asyncio.Event]:
    """Give an asyncio event that is set whenever the plugin says something of the group, or something was missed."""
    woken, began = asyncio.Event(), time.time()

    async def listen() -> None:
        async for batch in found.events(name):
            told = [event for event in batch.events if event.group == waiting.group]
            waiting.told(event.kind for event in told if event.time >= began)
            if batch.gap or told:
                woken.set()

    listening = asyncio.create_task(listen())
    try:
        yield woken
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


VERBS = (Verb("wait", "ID", "Wait until a group is as it was committed", wait, (TIMEOUT,)),)
