"""The flavor ``combo``: several flavors at once, each of which adds its own part to what an
instance is made from; their health events are passed on.

How the answers of many flavors become one is decided only here (``_merge``). It knows the flavors
by name, through the lookup it is handed, and cannot tell whether one sits in this process or behind
a socket.

Every flavor is given the spec as it came in, so what it returns repeats that spec and has its own
part besides. Only the own parts are put together, in the order of the list; InfraKit v0.1.0 puts
whole answers together and so repeats what came in.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from msgspec import Raw
from msgspec.structs import replace

from ..spi.contracts import Burying, FlavorPlugin, Interface, Lookup
from ..spi.documents import (
    Allocation,
    Attachment,
    Description,
    Document,
    Health,
    InstanceSpec,
    PluginSpec,
)
from ..spi.errors import IkdemoError, OutcomeUnknown, PluginFailure, RemoteFailure, SpecError
from ..spi.events import Emit
from .health_relay import HealthRelay
from .vanilla import read

ANSWER_SECONDS, DRAIN_SECONDS = 25.0, 280.0
"""How long all flavors together have; a little less than callers wait, so that they learn who was
late.
"""
AT_ONCE = 8
NESTED = 4
"""How many combos may stand inside each other. A combo that names itself ends here, not at the end
of all connections.
"""

T = TypeVar("T")


class ComboProperties(Document, frozen=True):
    """``flavors``: which ones, each with properties of its own; their order is that of the parts
    they add.
    """

    flavors: list[PluginSpec] | None = None


class Combo:
    """A flavor made of others, whose health events it passes on.

    Which ones they are differs from spec to spec, so it promises nothing of health: neither that it
    is constant, nor that each change of it is told.
    """

    interface: Interface = "Flavor"
    offers = frozenset({"Bury"})

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._relay: HealthRelay | None = None

    async def start(self, emit: Emit) -> None:
        """Begin to pass on what the flavors tell."""
        self._relay = HealthRelay(self._lookup, emit)

    async def stop(self) -> None:
        """Pass on nothing any longer."""
        if self._relay is not None:
            await self._relay.stop()
            self._relay = None

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        """Accept properties that every flavor of the list accepts for this allocation; raises the
        first refusal.

        Without an allocation, which no group has, only the list itself is looked at: that is all
        that InfraKit v0.1.0 looks at, and what it answers to such a request is kept. With one, a
        mistake is found at the commit and not at the first instance.
        """
        flavors = _flavors(properties)
        if allocation.size or allocation.logical_ids:
            async with self._asked(
                flavors, lambda flavor, own: flavor.validate(own, allocation), ANSWER_SECONDS
            ) as answers:
                for answer in answers:
                    await answer

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        """Return the spec with every flavor's own part of Init, tags and attachments added once, in
        the order of the list.

        Changes of Properties and LogicalID are dropped. Raises the error of the first flavor in the
        list that has one.
        """
        base = replace(spec, tags=dict(spec.tags or {}), attachments=list(spec.attachments or []))
        preparing = self._asked(
            _flavors(properties),
            lambda flavor, own: flavor.prepare(own, base, allocation),
            ANSWER_SECONDS,
        )
        async with preparing as answers:
            return _merge(base, [await answer for answer in answers])

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        """Return the first answer in the list that is not healthy, or raise if that is an error; no
        flavors: healthy.
        """
        asking = self._asked(
            _flavors(properties), lambda flavor, own: flavor.healthy(own, instance), ANSWER_SECONDS
        )
        async with asking as answers:
            for answer in answers:
                if (health := await answer) != Health.HEALTHY:
                    return health
        return Health.HEALTHY

    async def drain(self, properties: Raw, instance: Description) -> None:
        """Let every flavor drain the instance, one after the other as listed, also after one has
        failed.

        Raises PluginFailure with all errors, joined by a comma.
        """
        await self._every(
            properties, lambda flavor, own: flavor.drain(own, instance), DRAIN_SECONDS
        )

    async def bury(self, properties: Raw, instance: Description) -> None:
        """Let every flavor that offers it bury the instance, as ``drain`` does."""

        async def one(flavor: FlavorPlugin, own: Raw) -> None:
            if "Bury" in flavor.offers and isinstance(flavor, Burying):
                await flavor.bury(own, instance)

        await self._every(properties, one, ANSWER_SECONDS)

    async def _every(
        self,
        properties: Raw,
        ask: Callable[[FlavorPlugin, Raw], Awaitable[None]],
        seconds: float,
    ) -> None:
        """Ask every flavor, one after the other; raises PluginFailure with all errors."""
        failures = []
        asking = self._asked(_flavors(properties), ask, seconds, at_once=1)
        async with asking as answers:
            for answer in answers:
                try:
                    await answer
                except IkdemoError as error:
                    failures.append(str(error))
        if failures:
            raise PluginFailure(", ".join(failures))

    @asynccontextmanager
    async def _asked(
        self,
        flavors: list[PluginSpec],
        ask: Callable[[FlavorPlugin, Raw], Awaitable[T]],
        seconds: float,
        at_once: int = AT_ONCE,
    ) -> AsyncIterator[list[asyncio.Task[T]]]:
        """Ask all flavors, ``at_once`` at a time, and give their answers to come, in the order of
        the list.

        What has not answered when the caller has seen enough is not waited for. Raises
        OutcomeUnknown after ``seconds``.
        """
        gate = asyncio.Semaphore(at_once)
        answers = [
            asyncio.create_task(self._one(at, flavor, ask, gate))
            for at, flavor in enumerate(flavors)
        ]
        try:
            async with asyncio.timeout(seconds):
                yield answers
        except TimeoutError:
            late = [
                flavor.plugin
                for flavor, answer in zip(flavors, answers, strict=True)
                if answer.cancelled() or not answer.done()
            ]
            raise OutcomeUnknown(f"no answer within {seconds:g} s from {', '.join(late)}") from None
        finally:
            for answer in answers:
                answer.cancel()
            await asyncio.gather(*answers, return_exceptions=True)

    async def _one(
        self,
        at: int,
        flavor: PluginSpec,
        ask: Callable[[FlavorPlugin, Raw], Awaitable[T]],
        gate: asyncio.Semaphore,
    ) -> T:
        async with gate:
            try:
                found = await self._lookup.flavor(flavor.plugin)
                if self._relay is not None and "HealthEvents" in found.offers:
                    self._relay.follow(flavor.plugin)
                return await ask(found.plugin, flavor.properties)
            except (SpecError, RemoteFailure) as error:
                raise _placed(error, at) from None


def _flavors(properties: Raw) -> list[PluginSpec]:
    """Return the list; raises SpecError when it is not one, or when combos stand too deep inside
    each other.
    """
    flavors = read(properties, ComboProperties).flavors or []
    inside = flavors
    for _ in range(NESTED):
        inside = [deeper for flavor in inside for deeper in _inside(flavor.properties)]
    if inside:
        raise SpecError(
            f"$.Properties.Flavors: more than {NESTED} lists of flavors inside each other",
            path="$.Properties.Flavors",
        )
    return flavors


def _inside(properties: Raw) -> list[PluginSpec]:
    """Return the list of flavors in what may be another combo's properties; empty when it is some
    other flavor's.
    """
    try:
        return read(properties, ComboProperties).flavors or []
    except SpecError:
        return []


def _placed(error: SpecError | RemoteFailure, at: int) -> SpecError | RemoteFailure:
    """Return a flavor's error with its text, in which a JSON path now begins at the combo's
    properties.
    """
    text = str(error)
    if text.startswith("$.Properties"):
        text = f"$.Properties.Flavors[{at}]{text.removeprefix('$')}"
    if isinstance(error, SpecError) or error.final:
        return SpecError(text, path=text.partition(":")[0] if text.startswith("$") else "")
    return RemoteFailure(text, remote_code=error.remote_code)


def _merge(base: InstanceSpec, outputs: list[InstanceSpec]) -> InstanceSpec:
    """Add to ``base`` what each output has and ``base`` has not; of two flavors that change one tag
    the later wins.
    """
    init, tags = [base.init] if base.init else [], dict(base.tags or {})
    attachments = list(base.attachments or [])
    for output in outputs:
        if (own := _own_init(base.init, output.init)) is not None:
            init.append(own)
        tags |= {
            key: value
            for key, value in (output.tags or {}).items()
            if (base.tags or {}).get(key) != value
        }
        attachments += _own_attachments(base.attachments or [], output.attachments or [])
    return replace(base, init="\n".join(init), tags=tags, attachments=attachments)


def _own_init(came_in: str, output: str) -> str | None:
    r"""Return the lines that a flavor put after those that came in, or all of a script that
    replaced them.

    >>> _own_init("one", "one\ntwo"), _own_init("one", "one"), _own_init("", "two")
    ('two', None, 'two')
    >>> _own_init("one", "#!/bin/sh")
    '#!/bin/sh'
    """
    if output == came_in:
        return None
    return output.removeprefix(came_in + "\n") if came_in else output


def _own_attachments(came_in: list[Attachment], output: list[Attachment]) -> list[Attachment]:
    """Return the attachments of an output without those that came in, wherever they stand."""
    known, own = Counter(came_in), []
    for attachment in output:
        if known[attachment]:
            known[attachment] -= 1
        else:
            own.append(attachment)
    return own
