"""The verb ``ikdemo events``: what every plugin in the directory says, one line an event, causes
before effects.

Plugins that start later are joined in.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import columns
from ..commands import Invocation, Verb, say
from ..event_merge import EventMerge, MergedEvent, cause, follow
from ..flags import Flag, duration
from ..verb_inputs import peers, ready

if TYPE_CHECKING:
    from ...spi.events import EventBatch

GROUP = Flag("group", "only events of this group", placeholder="ID")


def seconds(text: str) -> float:
    """Read a number of seconds, or a duration such as 1m30s.

    >>> seconds("2.5"), seconds("1m")
    (2.5, 60.0)
    """
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    return duration(text)


FOR = Flag(
    "for", "stop after this many seconds (default: at Ctrl-C)", seconds, 0.0, placeholder="seconds"
)


async def events(call: Invocation) -> None:
    ready(call.directory)
    stream = EventPrinter(call["group"])
    try:
        async with (
            asyncio.timeout(call["for"] or None),
            peers(call.directory) as found,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(stream.print())
            tasks.create_task(follow(found, call.directory, stream.take))
    except TimeoutError:
        pass
    except BaseExceptionGroup as several:
        raise cause(several) from None
    finally:
        stream.say(stream.merge.rest())


class EventPrinter:
    """What the plugins have said since this began, on its way to the terminal; what they said
    before is left out.
    """

    def __init__(self, group: str) -> None:
        self.merge = EventMerge()
        self._group, self._began = group, time.time()
        self._following: set[str] = set()

    def take(self, name: str, batch: EventBatch) -> None:
        """Take in what a plugin says."""
        log = logging.getLogger(__name__)
        if name not in self._following:
            self._following.add(name)
            log.info("Following %s", name)
        elif batch.gap and batch.events:
            log.warning("Some events of %s may be missing here", name)
        wanted = [
            event
            for event in batch.events
            if event.time >= self._began and self._group in ("", event.group)
        ]
        self.merge.add(name, wanted, time.monotonic())

    async def print(self) -> None:
        """Print each event when it is due, for ever."""
        async for events in self.merge.as_due():
            self.say(events)

    def say(self, events: Iterable[MergedEvent]) -> None:
        """Print events, each with a word if it comes out of turn."""
        for event, late in events:
            say(columns.event_row(event) + ("  (told late)" if late else ""))


EVENTS = (
    Verb(
        "events",
        "",
        "Print what the plugins say, as it happens, until Ctrl-C",
        events,
        (GROUP, FOR),
    ),
)
