"""One machine: namespaces of its own for the network, processes, mounts and the host name, in which
nothing runs but what its Init starts, and a Docker engine.

Here a machine is booted, its power cut, and what it leaves on the host removed. When its first
process ends, the kernel ends every other process of the machine before anybody is told, and with
them go its mounts and its end of the cable. Left are its disk and the control groups of its
containers. Everything here blocks for a moment.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ... import disk
from ...spi.errors import PluginFailure
from .. import procfs
from ..ownership import MARK, OWNER
from .boot_script import BOOT, BOOTED, COMMANDS, SUBNET, SWITCH, write_disk
from .cgroups import mount_cgroups, remove_cgroup
from .switch import Switch

NUMBERS = range(1, 251)
"""Machines at one switch; the last part of an address."""
PROGRAMS = "dockerd containerd docker iptables ip unshare nsenter flock setsid mount"
NAMESPACES = "unshare --net --mount --uts --pid --fork --kill-child --mount-proc"
PACKAGES = "docker.io iptables iproute2"
BOOT_WITHIN = 60.0
"""Seconds from the start of its first process until a machine runs its Init."""
OFF_WITHIN = 60.0
"""Seconds until a machine whose power was cut is off; longer only when the kernel is stuck."""
SOCKET_LENGTH = 107
"""Bytes that the path of a socket may have."""
_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Running(NamedTuple):
    """A machine that is on. ``pid`` is that of its first process, ``start`` when it began (clock
    ticks since boot); ``parent`` waits for it, and is to be reaped by who booted the machine.
    """

    pid: int
    start: int
    parent: int


class MachinePlace(NamedTuple):
    """What a machine has on this host: a number, and a disk in its plugin's directory. ``owner`` is
    the mark of that directory, ``instance`` the machine's ID.
    """

    directory: Path
    number: int
    owner: str
    instance: str

    @property
    def name(self) -> str:
        """Its host name, the name of its disk, and the hostname of its node in a swarm."""
        return f"m{self.number}"

    @property
    def disk(self) -> Path:
        return self.directory / self.name

    @property
    def socket(self) -> Path:
        """Where its Docker engine is reached from the host, also when its cable is cut."""
        return self.disk / "docker.sock"

    @property
    def address(self) -> str:
        """Its address at the switch; nothing else reaches it."""
        return f"{SUBNET}.{self.number}"

    @property
    def log(self) -> Path:
        """What its Init printed."""
        return self.disk / "log"

    @property
    def outputs(self) -> tuple[Path, Path]:
        """The files that grow: what its Init printed, and what its engine said."""
        return self.log, self.disk / "docker.log"

    @property
    def cgroup(self) -> str:
        return f"ikdemo-{self.owner[:12]}-{self.name}"


def lacking() -> str:
    """Say in a sentence why no machine can run here; nothing if one can."""
    if os.geteuid() != 0:
        return "machines need root: they are namespaces of this one, with an engine each"
    missing = [program for program in PROGRAMS.split() if shutil.which(program) is None]
    if missing:
        return f"machines need {', '.join(missing)}: apt-get install {PACKAGES}"
    return ""


def make(place: MachinePlace, switch: Switch, init: str, image: bytes = b"") -> Running:
    """Make the disk of a machine and turn it on; raises PluginFailure. See ``write_disk``."""
    try:
        write_disk(place.disk, init, image)
    except OSError as error:
        raise disk.refusal("write", place.disk, error) from None
    return boot(place, switch)


def boot(place: MachinePlace, switch: Switch, before: Sequence[str] = ()) -> Running:
    """Turn a machine on that has a disk, and return when it runs its Init. Its cable is whole.

    ``before``: a command that starts the first process, such as ``setpriv``. Raises PluginFailure,
    and nothing runs then.
    """
    if len(os.fsencode(place.socket)) > SOCKET_LENGTH:
        raise PluginFailure(
            f"{disk.shown(place.socket)} is longer than the {SOCKET_LENGTH} bytes that the path of "
            "a socket may have"
        )
    mount_cgroups()
    command = [
        *before,
        *NAMESPACES.split(),
        "sh",
        "-c",
        BOOT,
        "sh",
        str(place.number),
        str(place.disk),
    ]
    reading, writing = os.pipe()
    try:
        parent = _spawn(command, _environment(place), {SWITCH: switch.fd, BOOTED: writing}, place)
    except OSError as error:
        os.close(reading)
        raise disk.refusal("boot", place.disk, error) from None
    finally:
        os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], BOOT_WITHIN)
        if ready and os.read(reading, 100):
            (pid,) = procfs.children(parent)
            return Running(pid, procfs.start_of(pid), parent)
    except BaseException:
        _end(parent)
        raise
    finally:
        os.close(reading)
    _end(parent)
    last = place.log.read_text(errors="replace").strip().splitlines()[-1:]
    raise PluginFailure(f"machine {place.name} does not boot: {''.join(last) or 'it says nothing'}")


def power_off(running: Running) -> None:
    """Cut the power: every process of the machine is killed, and none is left on return.

    Nothing in it is told. A machine that is off is no error. Raises PluginFailure when the kernel
    does not end it.
    """
    try:
        held = procfs.hold(running.pid, running.start, f"the machine of pid {running.pid}")
        try:
            signal.pidfd_send_signal(held, signal.SIGKILL)
            if not select.select([held], [], [], OFF_WITHIN)[0]:
                raise PluginFailure(f"the machine of pid {running.pid} does not end")
        finally:
            os.close(held)
    except ProcessLookupError:
        pass  # it is off
    reap(running)


def reap(running: Running) -> None:
    """Wait for the process that waits for a machine which is off, if it is a child of ours."""
    if running.parent:
        with suppress(ChildProcessError):
            os.waitpid(running.parent, 0)


def erase(place: MachinePlace) -> None:
    """Remove what a machine that is off has left on the host; what is gone already is no error."""
    shutil.rmtree(place.disk, ignore_errors=True)
    remove_cgroup(place.cgroup)


def _environment(place: MachinePlace) -> dict[str, str]:
    """Return what every process of a machine is told: little, for a machine is none of its host's
    processes; and whose it is, for those who look for what a killed plugin left.
    """
    return {
        "PATH": f"{COMMANDS}:{os.environ.get('PATH', os.defpath)}",
        "HOME": "/root",
        "CGROUP": place.cgroup,
        "INSTANCE_ID": place.instance,
        MARK: str(place.directory),
        OWNER: place.owner,
    }


def _spawn(
    command: list[str],
    environment: Mapping[str, str],
    descriptors: Mapping[int, int],
    place: MachinePlace,
) -> int:
    """Start a process with these descriptors under these numbers; raises OSError."""
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(2, f"there is no {command[0]}")
    # far from the numbers that they get
    held = {n: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for n, fd in descriptors.items()}
    try:
        return os.posix_spawn(
            program,
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_DUP2, fd, n) for n, fd in held.items()),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_SIGNALS,
        )
    finally:
        for fd in held.values():
            os.close(fd)


def _end(parent: int) -> None:
    """End a machine that does not boot, by the process that waits for it."""
    with suppress(ProcessLookupError):
        os.kill(parent, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(parent, 0)
