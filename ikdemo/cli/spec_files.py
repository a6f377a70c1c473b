"""Read the documents that a command line names, and say in which file a mistake is."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TypeVar

from msgspec import Raw

from ..spi.decode import decode
from ..spi.errors import SpecError
from ..spi.sources import STANDARD_INPUT, file_of, plain
from ..spi.text import compact

T = TypeVar("T")
LARGEST = 8 << 20
"""The largest document, in bytes, that a plugin takes."""


def read_document(file: str, kind: type[T]) -> T:
    """Read one JSON value of ``kind`` from a file, a ``file://`` URL, or standard input for ``-``.

    Raises OSError when it cannot be read, SpecError with the file's name when it is not what it
    should be.
    """
    path = file_of(file)
    with sys.stdin.buffer if file == STANDARD_INPUT else Path(path).open("rb") as stream:
        text = stream.read(LARGEST + 1)
    if file == STANDARD_INPUT and not text:  # in InfraKit's words, which knows no standard input
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file)
    try:
        if len(text) > LARGEST:
            raise SpecError(f"larger than {LARGEST >> 20} MiB")
        return decode(plain(text), kind)
    except SpecError as error:
        raise SpecError(f"{file}: {error}", path=error.path, expected=error.expected) from None


def read_properties(file: str) -> Raw:
    """Read a file that is a plugin's Properties: any one JSON value, sent as it is but for white
    space.
    """
    return packed(read_document(file, Raw))


def packed(raw: Raw) -> Raw:
    """Return opaque JSON as it travels, without white space."""
    return Raw(compact(bytes(raw)))
