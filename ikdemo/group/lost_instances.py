"""Instances that are gone and were not drained: their flavor buries them, which is to remove what
they left elsewhere.

What is lost follows from two things: what was described so far (``known``, which outlives the
process), and what the latest observation shows. A task of its own asks the flavor, so that healing
never waits for it; it ends when nothing is lost. What cannot be buried yet is tried again, ever
more seldom, and in the end given up, which the log tells.

Not covered: instances of a group that is let go or destroyed meanwhile, those that came and went
between two observations of a plugin that tells no events, and those of before a change of leader,
as the group plugin of the next one has not seen them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec import UNSET, structs

from ..log_limit import LineLimit
from ..spi.contracts import Burying, Lookup
from ..spi.documents import Description, PluginSpec
from ..spi.errors import IkdemoError
from ..spi.events import Event
from ..spi.text import visible
from .clock import Clock
from .observation import View

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before the second attempt; each wait is twice the one before, up to the second number."""
ATTEMPTS = 120
"""All in all they take about an hour: longer than a swarm without a majority should last."""
BURY_WITHIN = 30.0
"""Seconds for an answer."""
MOST = 1000
"""Lost instances of one group; of more than that the oldest are given up."""

log = logging.getLogger(__name__)
line_limit = LineLimit(log)


class Retry(NamedTuple):
    """How often the flavor was asked in vain, and when to ask it again (seconds)."""

    attempts: int = 0
    not_before: float = 0.0


class LostInstances:
    """What one group has lost. ``flavor``: the flavor to ask now, None while nothing may be done.
    ``persist``: makes what is known durable; raises IkdemoError.
    """

    def __init__(
        self,
        group: str,
        lookup: Lookup,
        clock: Clock,
        known: Mapping[str, Description],
        flavor: Callable[[], PluginSpec | None],
        persist: Callable[[], Awaitable[None]],
    ) -> None:
        self._group, self._lookup, self._clock = group, lookup, clock
        self._flavor, self._persist = flavor, persist
        self.known = dict(known)
        self._present: set[str] | None = None
        self._retries: dict[str, Retry] = {}
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    @property
    def lost(self) -> list[str]:
        """IDs of what is known and not there, oldest first; none before the first observation."""
        present = self._present
        return [] if present is None else [one for one in self.known if one not in present]

    def reset(self) -> None:
        """Forget all: another plugin makes the instances now."""
        self.known, self._present = {}, None

    def on_observation(self, view: View) -> None:
        """Take in what there is, if the flavor buries; forget all if it does not."""
        if view.observed.error or not view.is_fresh or view.buries is None:
            return
        if not view.buries:
            self.reset()
            return
        self._present = {one.id for one in view.described}
        for one in view.described:
            if one.id not in self.known:
                self.known[one.id] = structs.replace(one, slot=UNSET)
        self._begin()

    def on_event(self, event: Event) -> None:
        """Take in that an instance of this group was lost, which may never have been described."""
        if event.kind != "lost" or event.group != self._group or self._present is None:
            return
        self._present.discard(event.instance)
        self.known.setdefault(event.instance, Description(event.instance, None, event.tags))
        self._begin()

    def forget(self, instances: Iterable[str]) -> None:
        """Forget instances that were drained and destroyed."""
        for instance in instances:
            self.known.pop(instance, None)

    async def stop(self) -> None:
        """Ask nothing any longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        """Ask for what is lost, unless that is under way."""
        lost = self.lost
        self._retries = {one: self._retries[one] for one in lost if one in self._retries}
        self._news.set()
        if lost and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(
                self._bury_all(), name=f"burying of group {self._group}"
            )
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            text = "Burying the lost of group %s ended unexpectedly and is begun again soon"
            log.error(text, self._group, exc_info=error)

    async def _bury_all(self) -> None:
        """Bury what is lost, each when its time has come; end when nothing is, or nothing may be
        done.
        """
        while (lost := self.lost) and self._flavor() is not None:
            for instance in lost[:-MOST]:
                await self._give_up(instance, f"more than {MOST} are lost")
            self._news.clear()
            now = self._clock.now()
            for instance in lost[-MOST:]:
                flavor = self._flavor()
                due = self._retries.get(instance, Retry()).not_before <= now
                if due and flavor is not None and instance in self.lost:
                    await self._bury(instance, flavor)
            times = [self._retries.get(one, Retry()).not_before for one in self.lost]
            if times:
                await self._sleep(max(min(times) - self._clock.now(), FIRST_WAIT))

    async def _sleep(self, seconds: float) -> None:
        """Wait until the next attempt is due, or there are news."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _bury(self, instance: str, flavor: PluginSpec) -> None:
        description = self.known[instance]
        try:
            found = await self._lookup.flavor(flavor.plugin)
            # never asked of one that does not offer it: another program may serve its name by now
            if "Bury" not in found.offers or not isinstance(found.plugin, Burying):
                self.reset()
                return
            async with asyncio.timeout(BURY_WITHIN):
                await found.plugin.bury(flavor.properties, description)
        except (IkdemoError, TimeoutError) as error:
            attempts = self._retries.get(instance, Retry()).attempts + 1
            wait = min(FIRST_WAIT * 2.0 ** (attempts - 1), LONGEST_WAIT)
            self._retries[instance] = Retry(attempts, self._clock.now() + wait)
            if attempts >= ATTEMPTS:
                said = str(error) or f"no answer within {BURY_WITHIN:g} s"
                await self._give_up(instance, f"{attempts} attempts have failed: {said}")
            return
        if line_limit.has_room("lost instances were buried"):
            log.info("%s", visible(f"Group {self._group}: buried {instance}, which was lost"))
        await self._remove(instance)

    async def _give_up(self, instance: str, why: str) -> None:
        if line_limit.has_room("lost instances were not buried", logging.WARNING):
            text = f"Group {self._group}: what {instance} left elsewhere stays there: {why}"
            log.warning("%s", visible(text))
        await self._remove(instance)

    async def _remove(self, instance: str) -> None:
        self.known.pop(instance, None)
        self._retries.pop(instance, None)
        try:
            await self._persist()
        except IkdemoError as error:  # after a restart it is buried once more, which does no harm
            log.warning("What group %s has lost cannot be stored: %s", self._group, error)
