"""The switch that machines are connected to: a bridge in a network namespace that nothing else is
in, so machines reach each other and nothing else.

It has no process and no name: it lives as long as one of its machines, or a descriptor of it. A
machine holds it open, and is where a plugin that was restarted finds it again.
"""

from __future__ import annotations

import os
import subprocess

from ... import disk
from ...spi.errors import PluginFailure
from .boot_script import SWITCH

_MAKE = "ip link set lo up && ip link add br0 type bridge && ip link set br0 up && echo made && cat"


class Switch:
    """A switch, from ``make`` or ``of`` to ``close``; ``fd`` is its network namespace."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def make(cls) -> Switch:
        """Make a switch that nothing is connected to; raises PluginFailure. Blocks for a moment."""
        with subprocess.Popen(
            ["unshare", "--net", "sh", "-c", _MAKE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as making:
            assert making.stdout is not None
            if making.stdout.readline() != b"made\n":
                _, said = making.communicate()
                text = said.decode(errors="replace").strip()
                raise PluginFailure(f"no switch can be made: {text}")
            made = cls(_open(f"/proc/{making.pid}/ns/net"))
            making.communicate()
        return made

    @classmethod
    def of(cls, machine: int) -> Switch:
        """Return the switch that a machine is connected to, by its pid; raises PluginFailure."""
        return cls(_open(f"/proc/{machine}/fd/{SWITCH}"))

    def cut(self, number: int) -> None:
        """Cut the cable of a machine: what runs there runs on. Raises PluginFailure when no machine
        of that number is connected.
        """
        self._set(number, "down")

    def heal(self, number: int) -> None:
        """Mend the cable of a machine; raises PluginFailure."""
        self._set(number, "up")

    def close(self) -> None:
        """Hold it no longer."""
        os.close(self.fd)

    def _set(self, number: int, state: str) -> None:
        command = f"nsenter --net=/proc/self/fd/{self.fd} ip link set p{number} {state}"
        done = subprocess.run(
            command.split(), pass_fds=(self.fd,), stdin=subprocess.DEVNULL, capture_output=True
        )
        if done.returncode:
            text = done.stderr.decode(errors="replace").strip()
            raise PluginFailure(f"the cable of machine m{number} cannot be set {state}: {text}")


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise disk.refusal("open", path, error) from None
