"""One plugin program: reads its flags, makes its plugin and serves it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..spi.errors import IkdemoError
from .commands import HELP, LOG, flag_table, unknown
from .flags import Flag, parse, switch

if TYPE_CHECKING:
    from ..spi.contracts import Lookup, Plugin

Flags = Mapping[str, Any]
"""The values of the flags, by name."""
EXIT_WITH_STDIN = Flag(
    "exit-with-stdin",
    "stop when standard input ends, as it does when the parent dies",
    switch,
    False,
)


@dataclass(frozen=True)
class PluginProgram:
    """A program that serves one plugin, of the class ``plugin``, named as ``module:Class``.

    ``make`` makes it of that class, the flags, the folder of the sockets and the lookup of other
    plugins. ``socket`` is the plugin's usual name. ``check`` raises IkdemoError for flags that do
    not go together.
    """

    name: str
    summary: str
    socket: str
    plugin: str
    make: Callable[[Callable[..., Plugin], Flags, Path, Lookup], Plugin]
    flags: tuple[Flag, ...] = ()
    check: Callable[[Flags], None] = lambda values: None

    @property
    def short(self) -> str:
        """The short name of the program."""
        return self.socket

    def run(self, argv: Sequence[str]) -> int:
        """Serve until SIGTERM or Ctrl-C and return the exit status; raises IkdemoError when the
        flags are wrong.
        """
        parsed = parse(argv, self._flags())
        if parsed.values["help"] or parsed.words == ["help"]:
            usage = f"Usage: {self.name} [version] [flags]"
            print(f"{self.summary}.\n\n{usage}\n\n{flag_table(self._flags())}")
            return 0
        if parsed.words == ["version"]:
            print(f"Version: {__version__}\nRevision: Unspecified")
            return 0
        values = self.read(argv)
        return self.serve(values, exit_with_stdin=values["exit-with-stdin"])

    def read(self, argv: Sequence[str]) -> Flags:
        """Return the values of the flags; raises IkdemoError for every slip that shows before
        anything is served.
        """
        return self._read(argv, self._flags())

    def _read(
        self, argv: Sequence[str], flags: tuple[Flag, ...], words: tuple[str, ...] = ()
    ) -> Flags:
        """Return the values of these flags, beside which no words but ``words`` may stand."""
        from ..disk import check_name
        from ..rpc.discovery import check_length, plugin_dir

        parsed = parse(argv, flags)
        if rest := parsed.words[len(words) :]:
            raise IkdemoError(unknown(rest[0], " ".join((self.name, *words)), ["version", "help"]))
        check_length(plugin_dir() / check_name(parsed.values["name"]))
        self.check(parsed.values)
        return parsed.values

    def load(self) -> Callable[..., Plugin]:
        """Import what ``serve`` needs, so that processes that are forked afterwards find it there,
        and return the plugin's class.
        """
        importlib.import_module("ikdemo.assembly")
        module, _, name = self.plugin.partition(":")
        made: Callable[..., Plugin] = getattr(importlib.import_module(f"ikdemo.{module}"), name)
        return made

    def serve(self, values: Flags, *, exit_with_stdin: bool) -> int:
        """Serve what ``read`` has read, and return the exit status; raises IkdemoError when it
        cannot be served.
        """
        from ..assembly import run
        from ..rpc.discovery import plugin_dir
        from .logs import set_up

        set_up(values["log"])
        directory = plugin_dir()
        try:
            return run(
                lambda lookup: self.make(self.load(), values, directory, lookup),
                name=values["name"],
                directory=directory,
                exit_with_stdin=exit_with_stdin,
            )
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            where = f": {error.filename}" if error.filename else ""
            raise IkdemoError(f"{values['name']} cannot be served: {why}{where}") from None

    def _flags(self) -> tuple[Flag, ...]:
        name = Flag("name", "name of the plugin, which is that of its socket", default=self.socket)
        return (name, *self.flags, EXIT_WITH_STDIN, LOG, HELP)
