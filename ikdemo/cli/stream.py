"""The verb ``ikdemo events``: what every plugin in the directory says, one line an event, as it happens.

Plugins that start later are joined in. Loaded by ``commands``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..rpc import discovery
from . import columns
from .commands import Call, Verb, say
from .flags import Flag, duration
from .reach import peers, ready

if TYPE_CHECKING:
    from ..rpc.peers import Peers

LOOK_AGAIN = 0.5
GROUP = Flag("group", "only events of this group", placeholder="ID")


def seconds(text: str) -> float:
    """Read a number of seconds, or a duration such as 1m30s.

    >>> seconds("2.5"), seconds("1m")
    (2.5, 60.0)
    """
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    return duration(text)


FOR = Flag("for", "stop after this many seconds (default: at Ctrl-C)", seconds, 0.0, placeholder="seconds")


async def events(call: Call) -> None:
    ready(call.directory)
    try:
        async with asyncio.timeout(call["for"] or None), peers(call.directory) as found:
            await _follow_all(found, call.directory, call["group"])
    except TimeoutError:
        pass
    except BaseExceptionGroup as several:  # one plugin's stream ended the others: what ended it is the news
        raise several.exceptions[0] from None


async def _follow_all(found: Peers, directory: Path, group: str) -> None:
    """Follow every plugin there is, and those that come."""
    log = logging.getLogger(__name__)
    following: set[str] = set()
    if not discovery.listing(directory):
        log.info("No plugin runs in %s yet; waiting for the first", directory)
    async with asyncio.TaskGroup() as tasks:
        while True:
            for name, _ in discovery.listing(directory):
                if name not in following:
                    following.add(name)
                    tasks.create_task(_follow(found, name, group))
            await asyncio.sleep(LOOK_AGAIN)


async def _follow(found: Peers, name: str, group: str) -> None:
    """Print what one plugin says from now on; what it said before we came is left out."""
    log, began, first = logging.getLogger(__name__), time.time(), True
    async for batch in found.events(name):
        if first:
            log.info("Following %s", name)
        elif batch.gap and batch.events:
            log.warning("Some events of %s may be missing here", name)
        first = False
        for event in batch.events:
            if event.time >= began and group in ("", event.group):
                say(columns.event_row(event))


VERBS = (Verb("events", "", "Print what the plugins say, as it happens, until Ctrl-C", events, (GROUP, FOR)),)
