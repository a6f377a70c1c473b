"""What the plugin keeps of a machine in its state file, and what it is made from."""

from __future__ import annotations

from pathlib import Path

from ...spi.decode import decode, refuse_unknown
from ...spi.documents import NULL, Document
from ...spi.errors import SpecError
from ..state_files import InstanceRecord, StateFiles


class MachineRecord(InstanceRecord, frozen=True, kw_only=True):
    """One machine, its first process, and its number at the switch."""

    number: int


MachineFiles = StateFiles[MachineRecord]


class MachineProperties(Document, frozen=True):
    """Properties of a machine. ``image``: a file that ``docker load`` takes, which its engine loads
    when it starts first; machines reach no registry.
    """

    image: str = ""


def read_properties(
    spec_properties: bytes, path: str, *, strict: bool = False
) -> MachineProperties:
    """Decode properties; absent ones are empty. ``strict``: refuse members that nothing here reads.
    Raises SpecError.
    """
    if spec_properties == bytes(NULL):
        return MachineProperties()
    read = decode(spec_properties, MachineProperties, path=path)
    if "\0" in read.image or (read.image and not Path(read.image).is_absolute()):
        raise SpecError(
            f"{path}.Image: expected the absolute path of a file that docker load takes",
            path=f"{path}.Image",
            expected="an absolute path",
        )
    if strict:
        refuse_unknown(spec_properties, MachineProperties, path=path)
    return read


def read_image(properties: MachineProperties, path: str) -> bytes:
    """Return what is in the file of an image, nothing where none is named; raises SpecError when it
    cannot be read.
    """
    if not properties.image:
        return b""
    try:
        return Path(properties.image).read_bytes()
    except OSError as error:
        raise SpecError(
            f"{path}.Image: {properties.image} cannot be read: {(error.strerror or '').lower()}",
            path=f"{path}.Image",
            expected="a file",
        ) from None
