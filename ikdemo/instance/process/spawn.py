"""How an instance's process begins: its properties, its command, its environment, its port, and the
spawning itself.

Nothing here remembers anything.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Collection, Mapping
from pathlib import Path

from ...spi.decode import decode, fold, refuse_unknown
from ...spi.documents import GROUP_TAG, NULL, Document, InstanceSpec
from ...spi.errors import PluginFailure, SpecError
from ..common import excerpt, memory_of
from ..ownership import MARK, OWNER

CANNOT_RUN = (errno.ENOEXEC, errno.E2BIG)
"""What the system says of a command that it will not run as it is."""
LONGEST = 32 * os.sysconf("SC_PAGE_SIZE") - 1
"""Bytes of one argument or variable (as NAME=TEXT) that Linux passes on to a program."""


class ProcessProperties(Document, frozen=True):
    """Properties of a process instance.

    ``command``: program and arguments; without it the flavor's Init runs, as a shell script.
    ``env``: variables over those of the plugin. ``cwd``: where it runs. ``memory``: how much data
    each of its processes may hold, such as "64M".
    """

    command: list[str] | None = None
    env: dict[str, str] | None = None
    cwd: str = ""
    memory: str = ""


def check_properties(spec_properties: bytes, path: str) -> None:
    """Refuse what no process can be started from, and members that nothing here reads; raises
    SpecError.
    """
    read = read_properties(spec_properties, path)
    _refuse_unknown(spec_properties, path)
    check_lengths(read.command or (), read.env or {}, path)


def _refuse_unknown(spec_properties: bytes, path: str) -> None:
    try:
        refuse_unknown(spec_properties, ProcessProperties, path=path)
    except SpecError as error:
        if fold(error.path) != fold(f"{path}.Init"):
            raise
        sentence = f"{error}; Init belongs to the properties of the flavor"
        raise SpecError(sentence, path=error.path, expected=error.expected) from None


def read_properties(spec_properties: bytes, path: str) -> ProcessProperties:
    """Decode properties and look at what types cannot say; raises SpecError. Absent ones are empty,
    unknown ones passed over.
    """
    if spec_properties == bytes(NULL):
        return ProcessProperties()
    read = decode(spec_properties, ProcessProperties, path=path)
    if read.command is not None and not (read.command and read.command[0]):
        raise SpecError(
            f"{path}.Command: expected a program and its arguments",
            path=f"{path}.Command",
            expected="a program",
        )
    for name in read.env or {}:
        if not name or "=" in name:
            raise SpecError(
                f"{path}.Env: {excerpt(name)!a} cannot be a variable's name",
                path=f"{path}.Env",
                expected="names without =",
            )
    texts = [*(read.command or ()), *(read.env or {}), *(read.env or {}).values(), read.cwd]
    if any("\0" in text for text in texts):
        raise SpecError(
            f"{path}: no text here can hold a NUL", path=path, expected="texts without NUL"
        )
    memory_of(read.memory, f"{path}.Memory")
    return read


def check_lengths(command: Collection[str], environment: Mapping[str, str], path: str = "") -> None:
    """Refuse a text that is too long for Linux to pass it on to a program; raises SpecError.
    ``path``: where they stand.
    """
    texts = [(f"{path}.Command", text) for text in command]
    texts += [(f"{path}.Env.{name[:80]}", f"{name}={text}") for name, text in environment.items()]
    for where, text in texts:
        if (length := len(os.fsencode(text))) > LONGEST:
            at = (
                f"{where}: "
                if path
                else f"cannot run {excerpt(next(iter(command)))}: "
                if where == ".Command"
                else f"{where[5:]}: "
            )
            sentence = (
                f"{at}argument list too long: one text has {length} bytes, and no more "
                f"than {LONGEST} can be passed on"
            )
            raise SpecError(
                sentence, path=where if path else "", expected=f"at most {LONGEST} bytes"
            )


def command_of(properties: ProcessProperties, init: str) -> list[str]:
    """Return what to execute, wrapped by a shell where it has to set a limit or a directory first;
    raises SpecError.
    """
    command = list(properties.command or (["sh", "-c", init] if init else []))
    if not command:
        raise SpecError(
            "neither Properties.Command nor an Init says what to run",
            path="$.Spec",
            expected="Command or Init",
        )
    if "\0" in init:
        raise SpecError(
            "$.Spec.Init: no script can hold a NUL",
            path="$.Spec.Init",
            expected="a script without NUL",
        )
    first = []
    if properties.cwd:
        first.append('cd -- "$0"')
    if properties.memory:
        first.append(f"ulimit -d {max(1, memory_of(properties.memory) // 1024)}")
    if not first:
        return command
    return ["sh", "-c", " && ".join([*first, 'exec "$@"']), properties.cwd or "sh", *command]


def environment_of(
    properties: ProcessProperties,
    spec: InstanceSpec,
    instance: str,
    slot: str | None,
    port: int,
    directory: Path,
    owner: str,
) -> dict[str, str]:
    """Return an instance's environment: the plugin's own, that of the properties, and what it may
    want to know of itself.

    ``directory`` is where its plugin's state files are, and ``owner`` their mark.
    """
    own = {
        "INSTANCE_ID": instance,
        "SLOT": slot or "",
        "GROUP": (spec.tags or {}).get(GROUP_TAG, ""),
        "LOGICAL_ID": spec.logical_id or "",
        "PORT": str(port),
        MARK: str(directory),
        OWNER: owner,
    }
    return {
        **os.environ,
        **(properties.env or {}),
        **{name: text.replace("\0", "") for name, text in own.items()},
    }


def spawn(command: list[str], environment: Mapping[str, str], cwd: str, output: int) -> int:
    """Start a process as the leader of a session and group of its own, its output going to an open
    file; return its pid.

    Raises SpecError for what this machine cannot run, such as a program that is not there, and
    PluginFailure when the system refuses for now; nothing was started then.
    """
    if cwd and not Path(cwd).is_dir():
        raise SpecError(f"cannot run in {excerpt(cwd)}: no such directory", expected="a directory")
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        raise SpecError(
            f"cannot run {excerpt(command[0])}: there is no such program", expected="a program"
        )
    check_lengths(command, environment)
    wiring = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # as if a login shell had started it
    ours = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        pid: int = os.posix_spawn(
            program, command, environment, file_actions=wiring, setsid=True, setsigdef=ours
        )
        return pid
    except (OSError, ValueError) as error:
        reason = (
            (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        )
        kind = (
            PluginFailure
            if isinstance(error, OSError) and error.errno not in CANNOT_RUN
            else SpecError
        )
        raise kind(f"cannot run {excerpt(command[0])}: {reason}") from None


def undo(pid: int) -> None:
    """End a process that was just started, with its whole group, and reap it: it could not be taken
    up.
    """
    try:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except OSError:
        pass  # another process has reaped it
