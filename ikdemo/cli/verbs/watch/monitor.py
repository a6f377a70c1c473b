"""What is known of one group while it is watched: its history, why it is not as wanted, which
plugins answer.

Kept up to date by tasks of its own, across plugins that go and come back; nothing waits for a
plugin that is silent.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ....lab.dashboard.group_history import GroupHistory
from ....lab.dashboard.status import AGAIN, APART, sentence_of, sign_of
from ....lab.dashboard.view_model import ViewModel
from ....lab.host.timeline import Timeline
from ....lab.show.theme import AWAY, SILENT, Sign, sign_of_process
from ....reconcile.explain import count
from ....rpc import discovery
from ....spi.config_sha import sha_of
from ....spi.decode import decode
from ....spi.documents import GROUP_TAG, SHA_TAG, Description, GroupProperties
from ....spi.errors import IkdemoError, OutcomeUnknown, PluginFailure
from ....spi.events import Event, EventBatch
from ....spi.plans import Reason
from ...event_merge import HOLD, EventMerge, follow
from ..group_verbs import listed

if TYPE_CHECKING:
    from ....rpc.peers import Peers

LOOK_AT_PLUGINS = 1.0
"""Seconds between two looks which plugins answer, and for which one of them has time to."""
RUNNING = sign_of_process("running")


class GroupMonitor:
    """One group: the group plugin that keeps it, the instance plugin that makes its instances, and
    how each plugin is, by name.
    """

    def __init__(self, found: Peers, directory: Path, group_plugin: str, group: str) -> None:
        self.found, self.group = found, group
        self.group_plugin, self.instance_plugin = group_plugin, ""
        self.plugin_signs: dict[str, Sign] = {}
        self.said, self.chosen = "", 0
        self.changed = asyncio.Event()
        self._directory = directory
        self._record, self._history, self._mark = Timeline(), GroupHistory(group), 0
        self._merge, self._began = EventMerge(), time.time()
        self._doubted, self._ask = asyncio.Event(), asyncio.Event()
        self._wanted: tuple[int, str] | None = None
        self._heard, self._tells = 0, True
        self._reasons: list[Reason] = []
        self._error: IkdemoError | None = None

    async def begin(self) -> None:
        """Look for the first time; raises what keeps the group from being seen."""
        await self._look()

    async def run(self) -> None:
        """Keep everything up to date, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow(self.found, self._directory, self._take))
            for work in (self._tell, self._agree, self._ask_why, self._look_at_plugins):
                tasks.create_task(work())

    def view_model(self) -> ViewModel:
        """Return the present moment."""
        return self._history.model_at(self._record.now())

    def sign(self, model: ViewModel) -> Sign:
        """Say what the group is."""
        return sign_of(model, self._reasons, self._error)

    def why(self) -> str:
        """Say why the group is not as wanted, or nothing."""
        return sentence_of(self._reasons, self._error, f"ikdemo group free --force {self.group}")

    def lines(self) -> list[tuple[float, str, str]]:
        """Tell the last events: seconds since the first one, who tells it, and the sentence."""
        return self._history.lines()

    def is_moving(self) -> bool:
        """Say whether the picture changes though nothing happens, as it does while the last event
        moves out of it.
        """
        return self._record.now() - self._history.latest < 35.0

    def say(self, sentence: str) -> None:
        """Show what came of a key."""
        self.said = sentence
        self._ask.set()
        self.changed.set()

    def note(self, event: Event) -> None:
        """Write down what is done here to an instance, in its turn among what plugins tell."""
        self._merge.add("watch", [event], time.monotonic())

    def _take(self, name: str, batch: EventBatch) -> None:
        if batch.gap:
            self._doubted.set()
        told = [
            event
            for event in batch.events
            if event.time >= self._began and event.group == self.group
        ]
        self._merge.add(name, told, time.monotonic())

    async def _tell(self) -> None:
        """Let the story hear each event when it is due, in the order of time."""
        async for events in self._merge.as_due():
            self._hear([told.event for told in events])

    def _hear(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == "committed" and isinstance(event.size, int):
                self._wanted = event.size, (event.tags or {}).get(SHA_TAG, "")
                self._doubted.set()  # another plugin may make its instances now
        self._heard += len(events)
        self._record.add(events)
        self._read()
        self._ask.set()

    def _read(self) -> None:
        events, self._mark = self._record.since(self._mark)
        self._history.read(events)
        self.changed.set()

    async def _agree(self) -> None:
        """Look again whenever something may have been missed, and now and then where a plugin tells
        nothing by itself.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._tells else AGAIN):
                    await self._doubted.wait()
            self._doubted.clear()
            with suppress(IkdemoError):  # a plugin is away: its next stream begins with a gap, too
                await self._look(HOLD)
            await asyncio.sleep(APART)

    async def _look(self, hold: float = 0.0) -> None:
        """Make the story agree with what the plugins say now; raises what they refuse, and that
        there is no such group.

        What they say may be told by events as well, that are still held back. So a look counts only
        if nothing is told for as long as ``hold`` seconds after it; else another one is due.
        """
        heard, since = self._heard, self._record.now()
        wanted, there = await self._ask_all()
        await asyncio.sleep(hold)
        if heard != self._heard:
            self._doubted.set()
            return
        self._record.agree(self.instance_plugin, there, since, self.group)
        if wanted != self._wanted:
            (size, sha), self._wanted = wanted, wanted
            text = f"{size} instances are wanted"
            self._record.add(
                [
                    Event(
                        "committed",
                        since,
                        self.group_plugin,
                        self.group,
                        text=text,
                        size=size,
                        tags={SHA_TAG: sha},
                    )
                ]
            )
        self._read()

    async def _ask_all(self) -> tuple[tuple[int, str], list[Description]]:
        """Ask what is wanted, by size and fingerprint, and which instances there are."""
        group = await self.found.group(self.group_plugin)
        specs = {spec.id: spec for spec in await listed(group)}
        if self.group not in specs:
            raise PluginFailure(
                f"Group {self.group!r} is not kept by {self.group_plugin!r}; kept are: "
                f"{', '.join(specs) or 'none'}"
            )
        properties = decode(specs[self.group].properties, GroupProperties)
        self.instance_plugin = properties.instance.plugin
        instance = await self.found.instance(self.instance_plugin)
        self._tells = "Events" in group.offers and "Events" in instance.offers
        there = await instance.plugin.describe_instances(
            {GROUP_TAG: self.group}, slots="Slots" in instance.offers
        )
        return (count(properties.allocation), sha_of(properties)), there

    async def _ask_why(self) -> None:
        """Ask why the group is not as wanted whenever something happened, and now and then while it
        is not.
        """
        while True:
            self._ask.clear()
            try:
                async with asyncio.timeout(AGAIN):
                    group_plugin = await self.found.group(self.group_plugin)
                    can_say = "Reconcile" in group_plugin.offers
                    self._reasons = (
                        await group_plugin.plugin.why_group(self.group) if can_say else []
                    )
                    self._error = None
            except TimeoutError:
                self._error = OutcomeUnknown(
                    f"{self.group_plugin} has not answered for {AGAIN:.0f} s"
                )
            except IkdemoError as error:
                self._error, self._reasons = error, []
            self.changed.set()
            await asyncio.sleep(APART)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN if self._error or self._reasons else None):
                    await self._ask.wait()

    async def _look_at_plugins(self) -> None:
        """Ask every plugin that was ever seen whether it answers."""
        while True:
            names = sorted(
                {*self.plugin_signs, *(name for name, _ in discovery.listing(self._directory))}
            )
            signs = await asyncio.gather(*map(self._sign_of_plugin, names))
            found = dict(zip(names, signs, strict=True))
            if found != self.plugin_signs:
                self.plugin_signs = found
                self._ask.set()
                self.changed.set()
            await asyncio.sleep(LOOK_AT_PLUGINS)

    async def _sign_of_plugin(self, name: str) -> Sign:
        try:
            async with asyncio.timeout(LOOK_AT_PLUGINS):
                await self.found.any(name)
        except TimeoutError:
            return SILENT
        except IkdemoError:
            return AWAY
        return RUNNING
