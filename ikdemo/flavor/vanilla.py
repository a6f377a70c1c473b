"""The flavor ``vanilla``: adds lines of Init and tags to what an instance is made from; its
instances are always healthy.

Keeps nothing and touches nothing. Here is also how every flavor reads its own properties
(``read``): they must be there, and be of its type.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Raw
from msgspec.structs import replace

from ..spi.contracts import Interface
from ..spi.decode import decode
from ..spi.documents import NULL, Allocation, Description, Document, Health, InstanceSpec
from ..spi.errors import SpecError

P = TypeVar("P", bound=Document)


def read(properties: Raw, kind: type[P]) -> P:
    """Decode properties as a flavor's own type; raises SpecError, with the place of what is
    wrong.
    """
    require(properties)
    return decode(properties, kind, path="$.Properties")


def require(properties: Raw) -> None:
    """Raise SpecError for properties that are absent or null, which no flavor takes."""
    if properties == NULL:
        raise SpecError("Properties must be set", path="$.Properties", expected="an object")


class VanillaProperties(Document, frozen=True):
    """``init``: lines put after those that the spec has already. ``tags``: put over those of the
    spec.
    """

    init: list[str] | None = None
    tags: dict[str, str] | None = None


class Vanilla:
    """A flavor for instances that need nothing but their Init; neither their health nor what it
    prepares ever changes.
    """

    interface: Interface = "Flavor"
    offers = frozenset({"ConstantHealth", "ConstantPrepare"})

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        """Accept properties of the right types; raises SpecError."""
        read(properties, VanillaProperties)

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        """Return the spec with Init lines appended and tags added; the flavor's tag wins over the
        spec's.
        """
        added = read(properties, VanillaProperties)
        init = "\n".join(([spec.init] if spec.init else []) + (added.init or []))
        tags = {**(spec.tags or {}), **added.tags} if added.tags else spec.tags
        return replace(spec, init=init, tags=tags)

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        """Say that the instance is healthy."""
        require(properties)
        return Health.HEALTHY

    async def drain(self, properties: Raw, instance: Description) -> None:
        """Let the instance go: there is nothing to take out of service."""
        require(properties)
