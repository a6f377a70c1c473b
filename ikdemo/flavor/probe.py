"""The flavor ``probe``: what vanilla does, and checks of each instance's health.

An instance is checked from the first question about its health on, and forgotten when it was not
asked about for some minutes: sooner when it does not answer, at once when room is needed. A change
of health is told as an event, so that it need not be asked for. How a check is made, and when an
instance is called unhealthy, is in ``health_check``.
"""

from __future__ import annotations

import asyncio
import sys
import time

from msgspec import Raw
from msgspec.structs import replace

from ..spi.contracts import Interface
from ..spi.decode import refuse_unknown
from ..spi.documents import GROUP_TAG, Allocation, Description, Health, InstanceSpec
from ..spi.errors import PluginFailure
from ..spi.events import Emit, Event
from .health_check import (
    CheckSettings,
    Endpoint,
    MonitoredInstance,
    ProbeProperties,
    check_properties,
    endpoint_of,
    seconds_of,
)
from .vanilla import Vanilla, VanillaProperties, read

AT_ONCE = 64
"""Checks in flight at a time."""
MOST = 2000
"""Instances under watch."""
START_UP = 30.0
"""Seconds that an instance may take to answer for the first time."""
FORGET_AFTER = 600.0
"""Seconds after the last question until an instance is forgotten; its group is reminded after half
of them.
"""
GONE_SHARE = 0.25
"""Share of these seconds for an instance that does not answer: most of them are gone, and will
not be asked about again.
"""


class Probe:
    """A flavor that checks its instances; ``start_up`` and ``forget_after`` are in seconds."""

    interface: Interface = "Flavor"
    offers = frozenset({"HealthEvents", "ConstantPrepare"})

    def __init__(self, *, start_up: float = START_UP, forget_after: float = FORGET_AFTER) -> None:
        self._start_up, self._forget_after = start_up, forget_after
        self._vanilla = Vanilla()
        self._monitored: dict[str, MonitoredInstance] = {}
        self._forget_task: asyncio.Task[None] | None = None
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._emit: Emit = lambda event: None

    async def start(self, emit: Emit) -> None:
        """Begin to watch what will be asked about."""
        self._emit = emit
        self._forget_task = asyncio.create_task(self._forget(), name="forgetting of instances")

    async def stop(self) -> None:
        """Watch nothing any longer."""
        tasks = [monitored.stop() for monitored in self._monitored.values()]
        self._monitored.clear()
        if self._forget_task is not None:
            self._forget_task.cancel()
            tasks.append(self._forget_task)
            self._forget_task = None
        await asyncio.gather(*tasks, return_exceptions=True)

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        """Accept vanilla's properties with a check; raises SpecError."""
        await self._vanilla.validate(properties, allocation)
        check_properties(read(properties, ProbeProperties))
        refuse_unknown(properties, VanillaProperties, ProbeProperties, path="$.Properties")

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        """Return the spec with Init lines appended and tags added, as vanilla does."""
        return await self._vanilla.prepare(properties, spec, allocation)

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        """Return what the checks so far say of an instance, unknown for one that was not watched
        until now.

        Raises PluginFailure when its tags do not say where to check it, or too many are watched.
        """
        if self._forget_task is None:
            raise PluginFailure("the flavor is not running")
        settings = _settings(properties, instance)
        monitored = self._monitored.get(instance.id)
        if monitored is None or monitored.settings != settings:
            monitored = self._monitor(instance, settings)
        monitored.asked = time.monotonic()
        return monitored.health

    async def drain(self, properties: Raw, instance: Description) -> None:
        """Let the instance go, and check it no more."""
        await self._vanilla.drain(properties, instance)
        self._drop(instance.id)

    def _monitor(self, instance: Description, settings: CheckSettings) -> MonitoredInstance:
        self._drop(instance.id)
        if len(self._monitored) >= MOST:
            self._make_room()
        # kept long, in many events
        shared = {sys.intern(key): sys.intern(text) for key, text in (instance.tags or {}).items()}
        instance = replace(instance, tags=shared)
        monitored = self._monitored[instance.id] = MonitoredInstance(
            instance, settings, self._gate, self._start_up, self._changed
        )
        return monitored

    def _make_room(self) -> None:
        """Forget the instance that does not answer and was not asked about for longest;
        raises PluginFailure.
        """
        now = time.monotonic()
        candidates = [
            w
            for w in self._monitored.values()
            if w.health is not Health.HEALTHY and self._silence(w, now) > 0.5
        ]
        if not candidates:
            raise PluginFailure(f"no more than {MOST} instances can be watched")
        self._drop(min(candidates, key=lambda monitored: monitored.asked).instance.id)

    def _silence(self, monitored: MonitoredInstance, now: float) -> float:
        """Return how long an instance was not asked about: 0 is not at all, 1 so long that it is
        to be forgotten.
        """
        patience = self._forget_after * (1.0 if monitored.health is Health.HEALTHY else GONE_SHARE)
        return (now - monitored.asked) / patience

    def _drop(self, instance: str) -> None:
        if (monitored := self._monitored.pop(instance, None)) is not None:
            monitored.stop()

    async def _forget(self) -> None:
        """Remind of what was not asked about lately, and then forget it: it may be long gone."""
        reminded: set[str] = set()
        while True:
            await asyncio.sleep(self._forget_after * GONE_SHARE / 4)
            now = time.monotonic()
            silent = {name: w for name, w in self._monitored.items() if self._silence(w, now) > 0.5}
            for name, monitored in silent.items():
                if self._silence(monitored, now) > 1.0:
                    self._drop(name)
                elif name not in reminded:
                    self._tell(
                        monitored.instance,
                        "unasked",
                        f"{name}: nobody asks for its health any longer",
                    )
            reminded = set(silent)

    def _changed(self, instance: Description, health: Health, wrong: str) -> None:
        self._tell(instance, health.name.lower(), f"{instance.id}: {wrong or 'it answers'}")

    def _tell(self, instance: Description, code: str, text: str) -> None:
        group = (instance.tags or {}).get(GROUP_TAG, "")
        self._emit(
            Event(
                "health",
                group=group,
                instance=instance.id,
                code=code,
                text=text,
                tags=instance.tags,
            )
        )


def _settings(properties: Raw, instance: Description) -> CheckSettings:
    """Return how an instance is to be checked; raises SpecError or PluginFailure."""
    probe = read(properties, ProbeProperties)
    check_properties(probe)
    endpoint: Endpoint | None = None
    try:
        endpoint = endpoint_of(instance)
    except PluginFailure:
        if probe.check.command is None:
            raise
    variables = (
        ("INSTANCE_ID", instance.id),
        *((("ADDRESS", endpoint.host), ("PORT", str(endpoint.port))) if endpoint else ()),
    )
    interval = seconds_of(probe.interval, "$.Properties.Interval")
    timeout = seconds_of(probe.timeout, "$.Properties.Timeout")
    return CheckSettings(probe.check, endpoint, variables, interval, timeout, probe.threshold)
