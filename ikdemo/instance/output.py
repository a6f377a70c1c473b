"""What instances print: the last lines of it, the file of it cut to its end when it grows, and a
little of it kept after an instance has died.

Processes write their files themselves, so they print on while their plugin is away.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..spi.errors import PluginFailure

KEPT = 256 * 1024
"""Bytes of one instance's output that are kept."""
REMEMBERED = 20
"""Instances whose last output is remembered after their death."""
LAST_LINE = 200
"""Characters of the last line that a death is told with."""

_being_cut: dict[Path, bytes] = {}


class Outputs:
    """The last output of instances that are no more, the latest ``REMEMBERED`` of them."""

    def __init__(self) -> None:
        self._outputs: dict[str, bytes] = {}

    def keep_log(self, instance: str, log: Path) -> str:
        """Remember the end of a dead instance's output, which is in a file; return its last
        line.
        """
        return self.keep(instance, tail(log, KEPT // 4))

    def keep(self, instance: str, text: bytes) -> str:
        """Remember what a dead instance printed last; return its last line."""
        self._outputs[instance] = text
        while len(self._outputs) > REMEMBERED:
            del self._outputs[next(iter(self._outputs))]
        return next((line[-LAST_LINE:] for line in reversed(lines_of(text, 0)) if line.strip()), "")

    def of(self, instance: str) -> bytes | None:
        """Return what a dead instance printed last."""
        return self._outputs.get(instance)


def tail(log: Path, size: int = KEPT) -> bytes:
    """Return the last bytes of a file, from the beginning of a line where that is possible; nothing
    if it cannot be read.
    """
    text, length = _being_cut.get(log), 0
    try:
        if text is None:
            with log.open("rb") as file:
                length = os.fstat(file.fileno()).st_size
                file.seek(max(0, length - size))
                text = file.read(size)
    except OSError:
        return b""
    if text is None or max(length, len(text)) <= size:
        return text or b""
    return text[-size:].partition(b"\n")[2] or text[-size:]


def cut(log: Path) -> None:
    """Keep only the end of a file that grew beyond ``KEPT``; what is printed meanwhile may be lost.
    May be done in a thread.
    """
    try:
        if log.stat().st_size <= KEPT:
            return
        text = _being_cut[log] = tail(log, KEPT // 2)  # for who reads the file while it is empty
        with log.open("r+b", buffering=0) as file:
            file.truncate(0)
        # its writer appends as well, so neither overwrites the other
        with log.open("ab", buffering=0) as file:
            file.write(text)
    except OSError:
        pass  # gone, or no room: tried again at the next look
    finally:
        _being_cut.pop(log, None)


def last_lines(instance: str, text: bytes | None, number: int) -> list[str]:
    """Return the last lines that an instance printed, all of them for 0; raises PluginFailure where
    no output of it is known.
    """
    if text is None:
        raise PluginFailure(f"{instance} is no instance here, and none that ended lately")
    return lines_of(text, number)


def lines_of(text: bytes, number: int) -> list[str]:
    r"""Return the last lines of an output, all of them for 0; what is not UTF-8 is replaced.

    >>> lines_of(b"one\ntwo\nthree\n", 2)
    ['two', 'three']
    """
    lines = text.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines[-number:] if number else lines
