"""How slots come by their containers: one at a time in each, however often it is asked for, with
the image pulled before.

A slot's provisions and an image's pull are shared by all who ask for them at the same time. A pull
may take an hour; a caller waits a minute for it, is told how far it is, and asks again.
"""

from __future__ import annotations

import asyncio
import secrets

from ...engine import Engine
from ...spi.documents import GROUP_TAG, SHA_TAG, InstanceSpec
from ...spi.errors import IkdemoError, PluginFailure, SpecError
from ..common import free_port, occupant
from ..container_labels import SLOT, TAG, Labels
from ..fence import Fence
from ..single_flight import SingleFlight
from .config import DockerProperties, config_of
from .containers import Containers

_Key = tuple[str, object, str, int | None]
"""Group, slot, configuration and epoch of a provision: what is refused to an older leader must not
be refused to the next one, who asks for the same.
"""


class Provisioner:
    """The provisions under way for one owner's containers, of which no more than ``most`` may live.
    ``has_init``: see ``config_of``.
    """

    def __init__(self, containers: Containers, fence: Fence, most: int) -> None:
        self.has_init, self._fence = False, fence
        self._containers, self._most, self._pulls = containers, most, ImagePulls(containers.engine)
        self._provisions = SingleFlight[_Key, str]()

    async def close(self) -> None:
        """Wait for no image any longer, and finish what else was begun."""
        self._pulls.close()
        await self._provisions.finish()

    async def provision(
        self,
        properties: DockerProperties,
        spec: InstanceSpec,
        slot: str | None,
        epoch: int | None = None,
    ) -> str:
        """Return the ID of the instance that lives in a slot, or of a new one; goes on if the
        caller goes away.

        A call for a slot that is being filled waits for the same container. Raises PluginFailure
        when another configuration is there, or there is no room, Fenced, and what the engine
        raises.
        """
        tags = spec.tags or {}
        group = tags.get(GROUP_TAG, "")
        self._fence.check(group, epoch)
        key = group, object() if slot is None else slot, tags.get(SHA_TAG, ""), epoch
        while others := self._others_in_slot(key):
            await asyncio.wait(others)
        return await self._provisions.do(
            key,
            lambda: self._provision(properties, spec, slot, epoch),
            name=f"provision for slot {slot} of {group}",
        )

    def _others_in_slot(self, key: _Key) -> list[asyncio.Task[str]]:
        """Return the provisions under way in a slot for another configuration, or leader."""
        begun = self._provisions.tasks.items()
        return [task for other, task in begun if other != key and other[:2] == key[:2]]

    async def _provision(
        self, properties: DockerProperties, spec: InstanceSpec, slot: str | None, epoch: int | None
    ) -> str:
        group = (spec.tags or {}).get(GROUP_TAG, "")

        async def create() -> str | None:
            # a pull may have taken long: who may act is looked at again, and held until it is done
            return await self._fence.act(group, epoch, lambda: self._create(properties, spec, slot))

        if slot is not None and (instance := await self._occupant(spec, slot)) is not None:
            return instance
        if properties.pull == "always":
            await self._pulls.pull(properties.image)
        if (instance := await create()) is not None:
            return instance
        if properties.pull == "never":
            raise PluginFailure(f"the engine has no image {properties.image}, and Pull is never")
        await self._pulls.pull(properties.image)
        if (instance := await create()) is not None:
            return instance
        raise PluginFailure(f"image {properties.image} was pulled, and the engine does not have it")

    async def _create(
        self, properties: DockerProperties, spec: InstanceSpec, slot: str | None
    ) -> str | None:
        """Make an instance and return its ID, None when the engine lacks the image.

        Nothing is waited for between the look at the room and at the ports, and the moment from
        which the new one counts.
        """
        if len(self._containers) >= self._most:
            raise PluginFailure(
                f"no room: {len(self._containers)} instances are alive, and no more than "
                f"{self._most} may be"
            )
        port = properties.port or (
            str(free_port(self._containers.ports())) if properties.shares_network else ""
        )
        labels = Labels(
            f"instance-{secrets.randbits(63)}", slot, spec.logical_id, dict(spec.tags or {}), port
        )
        owner_labels = self._containers.owner_labels
        config = config_of(properties, spec, labels, owner_labels, init=self.has_init)
        return labels.instance if await self._containers.create(labels, config) else None

    async def _occupant(self, spec: InstanceSpec, slot: str) -> str | None:
        """Return the ID of the instance in a slot if it is as the spec wants it, None if there is
        none; raises PluginFailure.
        """
        group = (spec.tags or {}).get(GROUP_TAG, "")
        containers = self._containers
        for one in await containers.list_all(f"{TAG}{GROUP_TAG}={group}", f"{SLOT}={slot}"):
            if one in containers:
                return occupant(one.labels.description, slot, spec, containers.is_ending(one))
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
        self._pulls = SingleFlight[str, None]()
        self._come: dict[str, int] = {}

    async def pull(self, image: str) -> None:
        """Wait until an image has come; raises PluginFailure when it cannot be had, or has not come
        in time.
        """
        try:
            async with asyncio.timeout(self._patience):
                await self._pulls.do(image, lambda: self._pull(image), name=f"pull of {image}")
        except TimeoutError:
            come = f"{self._come[image]} %" if image in self._come else "nothing has come yet"
            raise PluginFailure(f"image {image} is being pulled: {come}") from None

    def close(self) -> None:
        """Wait for nothing any longer; the engine ends a pull without a caller."""
        self._pulls.cancel()

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
        finally:
            self._come.pop(image, None)
