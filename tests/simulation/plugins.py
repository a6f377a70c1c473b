"""Simulated plugins: instances that are made, end, fall ill and are made again, behind calls that
are slow, fail or hang.

What a call does happens in the world, whether or not the caller lives to hear of it. Randomness is
drawn from a stream for each group and kind of call, so that one group's calls do not change
another's fate.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, Raw

from ikdemo.rpc.event_ring import EventRing
from ikdemo.spi.contracts import Interface
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, Allocation, Description, Health, InstanceSpec
from ikdemo.spi.errors import IkdemoError, OutcomeUnknown, PluginFailure, PluginUnavailable
from ikdemo.spi.events import Event
from ikdemo.spi.plans import ObservedInstance, digest

from .loop import SimulatedLoop, settle
from .weather import Weather


@dataclass
class Instance:
    """One instance; asked for at ``begun`` and not described before ``shown`` (seconds). ``late``:
    without an answer.
    """

    id: str
    group: str
    tags: dict[str, str]
    slot: str | None
    logical_id: str | None
    shown: float
    begun: float = 0.0
    late: bool = False
    well: bool = True
    ever_ill: bool = False


class Watcher(Protocol):
    """Is told of everything that a group's loop does, and of what comes of it."""

    def begins(self, kind: str, group: str, instance: str) -> Any: ...
    def ends(self, call: Any) -> None: ...
    def made(self, call: Any, instance: Instance) -> None: ...
    def destroyed(self, call: Any, instance: Instance | None, name: str) -> None: ...


class World:
    """Everything outside the group plugin."""

    def __init__(self, loop: SimulatedLoop, weather: Weather, seed: int, watcher: Watcher) -> None:
        self.loop, self.weather, self.watcher, self._seed = loop, weather, watcher, seed
        self.living: dict[str, Instance] = {}
        self.rings = {"cloud": EventRing("cloud"), "plain": EventRing("plain")}
        self.down: dict[str, float] = {}
        self.hides = False
        self._made = 0
        self._dice: dict[tuple[str, str], random.Random] = {}

    def dice(self, group: str, kind: str) -> random.Random:
        """Return the stream of chance for one kind of call of one group."""
        if (group, kind) not in self._dice:
            self._dice[group, kind] = random.Random(f"{self._seed}/{group}/{kind}")
        return self._dice[group, kind]

    def members(self, group: str) -> list[Instance]:
        return [one for one in self.living.values() if one.group == group]

    def serial(self) -> str:
        self._made += 1
        return f"i-{self._made:04}"

    def tell(self, plugin: str, event: Event) -> None:
        self.rings[plugin].append(event)

    def kill(self, group: str, pick: float) -> None:
        """End an instance from outside."""
        if members := self.members(group):
            target = members[int(pick * len(members))]
            del self.living[target.id]
            self.tell(
                "cloud",
                Event(
                    "lost", group=group, instance=target.id, slot=target.slot or "", code="deleted"
                ),
            )

    def make_unhealthy(self, group: str, number: int) -> None:
        """Let so many instances fall ill, or be well again."""
        for one in self.members(group)[:number]:
            one.well = not one.well
            one.ever_ill = True

    def is_down(self, plugin: str) -> bool:
        return self.loop.time() < self.down.get(plugin, 0.0)

    async def call(
        self,
        plugin: str,
        group: str,
        kind: str,
        effect: Callable[[], Any],
        *,
        changing: bool = False,
    ) -> Any:
        """Make one call: its way there, its effect, its way back, and what befalls it."""
        if self.loop.ended or self.is_down(plugin):
            raise PluginUnavailable(f"plugin {plugin} cannot be reached")
        dice = self.dice(group, kind)
        fate = self.weather.fate(dice, changing=changing)
        if fate == "broken" and self.hides:
            # what is said not to be there, and may be taken for another that is late, nobody can
            # know of
            fate = "lost"
        before, after = self.weather.seconds(dice), self.weather.seconds(dice)
        answer: asyncio.Future[Any] = self.loop.create_future()

        def arrive() -> None:
            result, error = None, None
            if fate != "failed":
                try:
                    result = effect()
                except IkdemoError as refusal:
                    error = refusal
            if fate in ("failed", "broken"):
                error = PluginFailure(f"{plugin} says no")
            elif fate == "lost":
                error = OutcomeUnknown(f"{plugin} did not answer")
            self.loop.in_world(after, settle, answer, result, error)

        if fate == "refused":
            raise PluginUnavailable(f"plugin {plugin} cannot be reached")
        if fate == "late":
            self.loop.in_world(
                before, settle, answer, None, OutcomeUnknown(f"{plugin} did not answer")
            )
            before += dice.uniform(0.0, 8.0)
        self.loop.in_world(before, arrive)
        return await answer


class SimulatedInstances:
    """An instance plugin. ``slots``: provisioning is idempotent on (group, slot), and it tells and
    has a digest.

    ``lag``: seconds until a new instance is described (of a plugin without slots).
    """

    interface: Interface = "Instance"

    def __init__(self, world: World, *, slots: bool, lag: float) -> None:
        self._world, self._slots, self._lag = world, slots, 0.0 if slots else lag
        world.hides = not slots and (self._lag > 0 or world.weather.late > 0)
        self.offers = frozenset({"Slots", "Digest"}) if slots else frozenset()

    async def validate(self, properties: Raw) -> None:
        await self._world.call("cloud", _group(properties), "validate", lambda: None)

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str | None:
        tags = dict(spec.tags or {})
        group = tags.get(GROUP_TAG, "")
        call = self._world.watcher.begins("provision", group, "")
        try:
            make = partial(self._make, call, group, tags, spec, slot)
            return await self._world.call("cloud", group, "provision", make, changing=True)
        finally:
            self._world.watcher.ends(call)

    def _make(
        self, call: Any, group: str, tags: dict[str, str], spec: InstanceSpec, slot: str | None
    ) -> str:
        if self._slots and slot:
            for one in self._world.members(group):
                if one.slot == slot:
                    if one.tags.get(SHA_TAG) == tags.get(SHA_TAG):
                        return one.id
                    raise PluginFailure(f"slot {slot} is occupied by {one.id}")
        shown = self._world.loop.time() + self._lag
        made = Instance(
            self._world.serial(), group, tags, slot if self._slots else None, spec.logical_id, shown
        )
        self._world.living[made.id] = made
        self._world.watcher.made(call, made)
        self._world.tell(
            "cloud", Event("provisioned", group=group, instance=made.id, slot=made.slot or "")
        )
        return made.id

    async def destroy(self, instance: str) -> None:
        group = self._world.living[instance].group if instance in self._world.living else ""
        call = self._world.watcher.begins("destroy", group, instance)
        try:
            await self._world.call(
                "cloud", group, "destroy", lambda: self._end(call, instance), changing=True
            )
        finally:
            self._world.watcher.ends(call)

    def _end(self, call: Any, name: str) -> None:
        ended = self._world.living.pop(name, None)
        self._world.watcher.destroyed(call, ended, name)
        if ended is None:
            raise PluginFailure(f"instance {name} does not exist")
        self._world.tell(
            "cloud", Event("destroyed", group=ended.group, instance=name, slot=ended.slot or "")
        )

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        return await self._world.call(
            "cloud", tags.get(GROUP_TAG, ""), "describe", lambda: self._describe(tags, slots)
        )

    def _describe(self, tags: Mapping[str, str], slots: bool) -> list[Description]:
        now = self._world.loop.time()
        found = [
            one
            for one in self._world.living.values()
            if tags.items() <= one.tags.items() and one.shown <= now
        ]
        return [
            Description(
                one.id, one.logical_id, dict(one.tags), (one.slot or UNSET) if slots else UNSET
            )
            for one in found
        ]

    async def digest_instances(self, group: str) -> str:
        return await self._world.call("cloud", group, "digest", lambda: self._digest(group))

    def _digest(self, group: str) -> str:
        return digest(
            [
                ObservedInstance(one.id, one.logical_id, one.slot, one.tags.get(SHA_TAG))
                for one in self._world.members(group)
            ]
        )


class SimulatedFlavor:
    """A flavor. ``constant``: its health never changes; otherwise it is asked, and says what ails
    an instance.
    """

    interface: Interface = "Flavor"

    def __init__(self, world: World, *, constant: bool) -> None:
        self._world = world
        self.offers = frozenset({"ConstantHealth", "ConstantPrepare"}) if constant else frozenset()

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        await self._world.call("plain", _group(properties), "validate", lambda: None)

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        call = self._world.watcher.begins("prepare", _group(properties), "")
        try:
            return await self._world.call(
                "plain", _group(properties), "prepare", lambda: spec, changing=True
            )
        finally:
            self._world.watcher.ends(call)

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        return await self._world.call(
            "plain", _group(properties), "healthy", lambda: self._judge(instance.id)
        )

    def _judge(self, name: str) -> Health:
        one = self._world.living.get(name)
        return Health.UNKNOWN if one is None else Health.HEALTHY if one.well else Health.UNHEALTHY

    async def drain(self, properties: Raw, instance: Description) -> None:
        call = self._world.watcher.begins("drain", _group(properties), instance.id)
        try:
            await self._world.call(
                "plain", _group(properties), "drain", lambda: None, changing=True
            )
        finally:
            self._world.watcher.ends(call)


def _group(properties: Raw) -> str:
    """Return the group that a section of a spec of ours is of."""
    return str(msgspec.json.decode(properties)["Group"])
