"""How a flavor reads its own properties: they must be there, and be of its type."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Raw

from ..spi.decode import decode
from ..spi.documents import NULL, Document
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
