"""The program ``infrakit-manager``: its back ends are sub commands, each with flags of its own.

``BACKENDS`` is the one table of them: a line says what a back end is called, which flags it has and
what makes it of them.
"""

from __future__ import annotations

import importlib
import os
import pwd
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..spi.errors import IkdemoError
from ..spi.text import aligned
from .commands import flag_table, unknown
from .engine_flags import ENGINE_FLAGS, swarm_of
from .flags import Flag, duration, listed, parse, switch, words_of
from .plugin_program import Flags, PluginProgram

if TYPE_CHECKING:
    from ..manager.backend import Backend
    from ..spi.contracts import Lookup, Plugin

BACKEND = "backend"
"""Key of the values of the flags: the sub command."""
BEHIND = "proxy-for-group"
USUAL_BEHIND = "group-stateless"


@dataclass(frozen=True)
class BackendCommand:
    """A sub command: a back end of the class ``backend``, named as ``module:Class``; ``make`` makes
    it of that class and the flags, ``check`` raises IkdemoError for flags that do not go together.
    """

    name: str
    summary: str
    backend: str
    make: Callable[[Callable[..., Any], Flags], Backend]
    flags: tuple[Flag, ...]
    check: Callable[[Flags], None] = lambda values: None

    def load(self) -> Callable[..., Any]:
        """Import its module, and return the class."""
        module, _, name = self.backend.partition(":")
        made: Callable[..., Any] = getattr(importlib.import_module(f"ikdemo.{module}"), name)
        return made


def _usual(variable: str, name: str) -> str:
    """Return a path that the environment gives, or else the one in the account's ``.infrakit``."""
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = os.environ.get("HOME", "/")
    return os.environ.get(variable) or os.path.join(home, ".infrakit", name)  # noqa: PTH118


def _os(make: Callable[..., Any], values: Flags) -> Backend:
    leader, store = Path(values["leader-file"]), Path(values["store-dir"])
    made: Backend = make(values["name"], leader, store, values["poll-interval"])
    return made


def _etcd(make: Callable[..., Any], values: Flags) -> Backend:
    from ..etcd.addresses import TlsFiles

    files = TlsFiles(values["tlscacert"], values["tlscert"], values["tlskey"], values["tlsverify"])
    made: Backend = make(
        values["name"],
        values["endpoint"] or [USUAL_ENDPOINT],
        files,
        within=values["request-timeout"],
        lease=values["lease"],
        poll=values["poll-interval"],
    )
    return made


def _swarm(make: Callable[..., Any], values: Flags) -> Backend:
    made: Backend = make(swarm_of(values), values["name"], values["poll-interval"])
    return made


def check_interval(values: Flags) -> None:
    """Refuse an interval that is none."""
    if values["poll-interval"] <= 0:
        raise IkdemoError("the poll interval must be longer than 0")


USUAL_ENDPOINT = "127.0.0.1:2379"
POLL = Flag("poll-interval", "how often to ask who leads", duration, 5.0, placeholder="duration")
BACKENDS: tuple[BackendCommand, ...] = (
    BackendCommand(
        "os",
        "A leader file, which names the manager that leads, and a folder for the specs",
        "manager.stores.os_store:OsBackend",
        _os,
        (
            Flag(
                "leader-file",
                "file that holds the name of the manager that leads",
                default=_usual("INFRAKIT_LEADER_FILE", "leader"),
                placeholder="file",
            ),
            Flag(
                "store-dir",
                "folder that holds the specs, in global.config",
                default=_usual("INFRAKIT_STORE_DIR", "configs"),
                placeholder="folder",
            ),
            POLL,
        ),
        check_interval,
    ),
    BackendCommand(
        "swarm",
        "A Docker swarm, whose leading node says that its manager leads, and which keeps the specs",
        "manager.stores.swarm_store:SwarmBackend",
        _swarm,
        (*ENGINE_FLAGS, POLL),
        check_interval,
    ),
    BackendCommand(
        "etcd",
        "An etcd: a lease of it elects the leader, and a key of it holds the specs",
        "manager.stores.etcd_store:EtcdBackend",
        _etcd,
        (
            Flag(
                "endpoint",
                f"where members of etcd are, may be repeated (default {USUAL_ENDPOINT})",
                listed,
                [],
                placeholder="host:port,...",
            ),
            Flag(
                "request-timeout",
                "how long a request may take, over all members",
                duration,
                1.0,
                placeholder="duration",
            ),
            Flag(
                "lease",
                "how long a leader that is not heard of goes on leading",
                duration,
                5.0,
                placeholder="duration",
            ),
            POLL,
            Flag("tlscacert", "authority that signed certificates of members", placeholder="file"),
            Flag("tlscert", "certificate to show to members", placeholder="file"),
            Flag("tlskey", "key of that certificate", placeholder="file"),
            Flag("tlsverify", "whether members have to show a certificate that fits", switch, True),
        ),
    ),
)


@dataclass(frozen=True)
class ManagerProgram(PluginProgram):
    """The program with the back ends as sub commands; without one it shows its help page."""

    @property
    def short(self) -> str:
        return "manager"

    def run(self, argv: Sequence[str]) -> int:
        command = self._chosen(argv)
        words = words_of(argv, self._flags())
        if command is None and words[:1] not in (["version"], ["help"]):
            if words:
                raise IkdemoError(unknown(words[0], self.name, self._words()))
            parse(argv, self._flags())
        if command is None and words[:1] != ["version"]:
            print(self._page(next((b for b in BACKENDS if words[1:] == [b.name]), None)))
            return 0
        if command is not None and parse(argv, self._flags(command)).values["help"]:
            print(self._page(command))
            return 0
        return super().run(argv) if command is None else self._serve_as(argv)

    def read(self, argv: Sequence[str]) -> Flags:
        """Return the values of the flags, and under ``BACKEND`` the sub command."""
        command = self._chosen(argv)
        if command is None:
            words = words_of(argv, self._flags())
            complaint = f"{self.name} needs a back end: {', '.join(b.name for b in BACKENDS)}"
            raise IkdemoError(unknown(words[0], self.name, self._words()) if words else complaint)
        values = {**self._read(argv, self._flags(command), (command.name,)), BACKEND: command.name}
        command.check(values)
        return values

    def beside(self, argv: Sequence[str]) -> list[str]:
        """Return the arguments of a manager; without a back end it gets a leader file and a folder
        of its own, beside its socket, and leads.
        """
        from ..disk import check_name
        from ..rpc.discovery import ensure_dir, plugin_dir

        if words_of(argv, self._flags()):
            return list(argv)
        name = parse(argv, self._flags()).values["name"]
        folder = ensure_dir(plugin_dir()) / f"{check_name(name)}.manager"
        folder.mkdir(mode=0o700, exist_ok=True)
        leader = folder / "leader"
        if not leader.exists():
            leader.write_text(f"{name}\n")
        return [*argv, "os", f"--leader-file={leader}", f"--store-dir={folder}"]

    def _serve_as(self, argv: Sequence[str]) -> int:
        values = self.read(argv)
        return self.serve(values, exit_with_stdin=values["exit-with-stdin"])

    def _chosen(self, argv: Sequence[str]) -> BackendCommand | None:
        every = [flag for command in BACKENDS for flag in self._flags(command)]
        words = words_of(argv, every)
        return next((command for command in BACKENDS if words[:1] == [command.name]), None)

    def _words(self) -> list[str]:
        return [*(command.name for command in BACKENDS), "version", "help"]

    def _page(self, command: BackendCommand | None) -> str:
        if command is not None:
            usage = f"Usage: {self.name} {command.name} [flags]"
            return f"{command.summary}.\n\n{usage}\n\n{flag_table(self._flags(command))}"
        rows = [(b.name, b.summary) for b in BACKENDS] + [("version", "Print the version")]
        commands = "\n".join(f"  {line}" for line in aligned(rows))
        usage = f"Usage: {self.name} BACKEND [flags]"
        return (
            f"{self.summary}.\n\n{usage}\n\nBack ends, which say who leads and keep the specs:\n"
            f"{commands}\n\n{flag_table(self._flags())}"
        )

    def _flags(self, command: BackendCommand | None = None) -> tuple[Flag, ...]:
        shared = super()._flags()
        return shared if command is None else (shared[0], *command.flags, *shared[1:])


def make_manager(make: Callable[..., Plugin], values: Flags, _: Path, lookup: Lookup) -> Plugin:
    """Make a manager with the back end that was chosen."""
    command = next(command for command in BACKENDS if command.name == values[BACKEND])
    return make(lookup, command.make(command.load(), values), values[BEHIND])


def check_manager(values: Flags) -> None:
    """Refuse a manager that would stand before itself."""
    if values["name"] == values[BEHIND]:
        raise IkdemoError(
            f"--name and --{BEHIND} are both {values['name']}: a manager stands before another "
            "plugin"
        )


MANAGER = ManagerProgram(
    "infrakit-manager",
    "Stands before a group plugin, and lets it keep groups while this manager leads",
    "group",
    "manager.plugin:Manager",
    make_manager,
    (
        Flag(
            BEHIND,
            "name of the group plugin to stand before; ours is started with --store none",
            default=USUAL_BEHIND,
        ),
    ),
    check_manager,
)
