"""How slots come by their containers: one at a time in each, whoever asks and however often, with
the image fetched before.

Called by ``docker``.
"""

from __future__ import annotations

import asyncio
import secrets

from ...engine import Engine
from ...spi.documents import GROUP_TAG, SHA_TAG, InstanceSpec
from ...spi.errors import IkdemoError, PluginFailure, SpecError
from ..common import free_port
from .config import DockerProperties, config_of
from .containers import Containers
from .labels import SLOT, TAG, Labels


class Provisioner:
    """The provisions under way for a fleet, of which no more than ``most`` may live. ``has_init``:
    see ``config_of``.
    """

    def __init__(self, fleet: Containers, most: int) -> None:
        self.has_init = False
        self._fleet, self._most, self._pulls = fleet, most, ImagePulls(fleet.engine)
        self._begun: dict[tuple[str, object], tuple[str, asyncio.Task[str]]] = {}

    async def close(self) -> None:
        """Wait for no image any longer, and finish what else was begun."""
        self._pulls.close()
        await asyncio.gather(*(task for _, task in self._begun.values()), return_exceptions=True)

    async def fill(self, properties: DockerProperties, spec: InstanceSpec, slot: str | None) -> str:
        """Return the ID of the instance that lives in a slot, or of a new one; goes on if the
        caller goes away.

        A call for a slot that is being filled waits for the same container. Raises PluginFailure
        when another configuration is there, or there is no room, and what the engine raises.
        """
        tags = spec.tags or {}
        sha = tags.get(SHA_TAG, "")
        place = tags.get(GROUP_TAG, ""), object() if slot is None else slot
        while place in self._begun:
            other, task = self._begun[place]
            if other == sha:
                return await asyncio.shield(task)
            await asyncio.wait([task])
        task = asyncio.create_task(
            self._fill(properties, spec, slot), name=f"provision for slot {slot} of {place[0]}"
        )
        self._begun[place] = sha, task
        task.add_done_callback(lambda task: self._ended(place, task))
        return await asyncio.shield(task)

    def _ended(self, place: tuple[str, object], task: asyncio.Task[str]) -> None:
        del self._begun[place]
        if not task.cancelled():
            task.exception()  # whoever waits has it; perhaps nobody does

    async def _fill(
        self, properties: DockerProperties, spec: InstanceSpec, slot: str | None
    ) -> str:
        if slot is not None and (occupant := await self._occupant(spec, slot)) is not None:
            return occupant
        if properties.pull == "always":
            await self._pulls.pull(properties.image)
        if (instance := await self._make(properties, spec, slot)) is not None:
            return instance
        if properties.pull == "never":
            raise PluginFailure(f"the engine has no image {properties.image}, and Pull is never")
        await self._pulls.pull(properties.image)
        if (instance := await self._make(properties, spec, slot)) is not None:
            return instance
        raise PluginFailure(f"image {properties.image} was pulled, and the engine does not have it")

    async def _make(
        self, properties: DockerProperties, spec: InstanceSpec, slot: str | None
    ) -> str | None:
        """Make an instance and return its ID, None when the engine lacks the image.

        Nothing is waited for between the look at the room and at the ports, and the moment from
        which the new one counts.
        """
        if len(self._fleet) >= self._most:
            raise PluginFailure(
                f"no room: {len(self._fleet)} instances are alive, and no more than "
                f"{self._most} may be"
            )
        port = properties.port or (
            str(free_port(self._fleet.ports())) if properties.shares_network else ""
        )
        badge = Labels(
            f"instance-{secrets.randbits(63)}", slot, spec.logical_id, dict(spec.tags or {}), port
        )
        config = config_of(
            properties, spec, badge, badge.labels(self._fleet.whose), init=self.has_init
        )
        return badge.instance if await self._fleet.make(badge, config) else None

    async def _occupant(self, spec: InstanceSpec, slot: str) -> str | None:
        """Return the ID of the instance in a slot if it is as the spec wants it, None if there is
        none; raises PluginFailure.
        """
        wanted = spec.tags or {}
        group = wanted.get(GROUP_TAG, "")
        for one in await self._fleet.containers(f"{TAG}{GROUP_TAG}={group}", f"{SLOT}={slot}"):
            if one in self._fleet:
                if self._fleet.is_ending(one) or one.badge.tags.get(SHA_TAG) != wanted.get(SHA_TAG):
                    raise PluginFailure(
                        f"slot {slot} of group {group} is occupied by {one.badge.instance}"
                    )
                return one.badge.instance
        return None


PATIENCE = 60.0
"""Seconds that one provision waits; after that its group is told how far the pull is, and comes
back.
"""
LONGEST = 3600.0
"""Seconds until a pull is given up."""


class ImagePulls:
    """The pulls under way at one engine. ``patience``: seconds that a caller waits."""

    def __init__(self, engine: Engine, patience: float = PATIENCE) -> None:
        self._engine, self._patience = engine, patience
        self._pulls: dict[str, asyncio.Task[None]] = {}
        self._come: dict[str, int] = {}

    async def pull(self, image: str) -> None:
        """Wait until an image has come; raises PluginFailure when it cannot be had, or has not come
        in time.
        """
        if image not in self._pulls:
            self._pulls[image] = asyncio.create_task(self._pull(image), name=f"pull of {image}")
            self._pulls[image].add_done_callback(lambda task: self._ended(image, task))
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(self._pulls[image])
        except TimeoutError:
            come = f"{self._come[image]} %" if image in self._come else "nothing has come yet"
            raise PluginFailure(f"image {image} is being pulled: {come}") from None

    def close(self) -> None:
        """Wait for nothing any longer; the engine ends what nobody waits for."""
        for task in list(self._pulls.values()):
            task.cancel()

    def _ended(self, image: str, task: asyncio.Task[None]) -> None:
        del self._pulls[image]
        self._come.pop(image, None)
        if not task.cancelled():
            task.exception()  # whoever waits has it; perhaps nobody does

    async def _pull(self, image: str) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                await self._engine.pull(
                    image, lambda percent: self._come.__setitem__(image, percent)
                )
        except TimeoutError:
            raise PluginFailure(
                f"image {image} cannot be pulled: it has not come in {LONGEST:g} s"
            ) from None
        except SpecError:
            raise
        except IkdemoError as error:
            raise PluginFailure(f"image {image} cannot be pulled: {error}") from None
