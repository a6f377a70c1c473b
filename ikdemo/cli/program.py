"""One plugin program: reads its flags, sets up the log, and serves its plugin until told to stop.

Which programs there are is in ``programs``; here is what all of them do. Run by the console scripts and ``python -m ikdemo``, and
step by step by ``up`` and ``orders``, in processes that they fork.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..spi.errors import IkdemoError
from . import factories
from .flags import Flag, parse, switch
from .pages import HELP, LOG, flag_table, unknown

if TYPE_CHECKING:
    from ..spi.contracts import Lookup, Plugin

EXIT_WITH_STDIN = Flag("exit-with-stdin", "stop when standard input ends, as it does when the parent dies", switch, False)


@dataclass(frozen=True)
class PluginProgram:
    """A program that serves one plugin. ``make`` gets the flags, the folder of the sockets and the lookup of other plugins.

    ``socket`` is the plugin's usual name, and the short one of the program; ``module`` has the plugin; ``check`` raises
    IkdemoError for flags that do not go together.
    """

    name: str
    summary: str
    socket: str
    module: str
    make: Callable[[Mapping[str, Any], Path, Lookup], Plugin]
    flags: tuple[Flag, ...] = ()
    check: Callable[[Mapping[str, Any]], None] = factories.check_nothing

    def run(self, argv: Sequence[str]) -> int:
        """Serve until SIGTERM or Ctrl-C and return the exit status; raises IkdemoError when the flags are wrong."""
        parsed = parse(argv, self._flags())
        if parsed.values["help"] or parsed.words == ["help"]:
            print(f"{self.summary}.\n\nUsage: {self.name} [version] [flags]\n\n{flag_table(self._flags())}")
            return 0
        if parsed.words == ["version"]:
            print(f"Version: {__version__}\nRevision: Unspecified")
            return 0
        values = self.read(argv)
        return self.serve(values, exit_with_stdin=values["exit-with-stdin"])

    def read(self, argv: Sequence[str]) -> Mapping[str, Any]:
        """Return the values of the flags; raises IkdemoError for every slip that shows before anything is served."""
        from ..disk import check_name
        from ..rpc.discovery import check_length, plugin_dir

        parsed = parse(argv, self._flags())
        if parsed.words:
            raise IkdemoError(unknown(parsed.words[0], self.name, ["version", "help"]))
        check_length(plugin_dir() / check_name(parsed.values["name"]))
        self.check(parsed.values)
        return parsed.values

    def load(self) -> None:
        """Import what ``serve`` needs, so that processes that are forked afterwards find it there."""
        for module in ("assembly", self.module):
            importlib.import_module(f"ikdemo.{module}")

    def serve(self, values: Mapping[str, Any], *, exit_with_stdin: bool) -> int:
        """Serve what ``read`` has read, and return the exit status; raises IkdemoError when it cannot be served."""
        from ..assembly import run
        from ..rpc.discovery import plugin_dir
        from .logs import set_up

        set_up(values["log"])
        directory = plugin_dir()
        try:
            return run(
                lambda lookup: self.make(values, directory, lookup),
                name=values["name"],
                directory=directory,
                exit_with_stdin=exit_with_stdin,
            )
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise IkdemoError(f"{values['name']} cannot be served: {(error.strerror or str(error)).lower()}{where}") from None

    def _flags(self) -> tuple[Flag, ...]:
        name = Flag("name", "name of the plugin, which is that of its socket", default=self.socket)
        return (name, *self.flags, EXIT_WITH_STDIN, LOG, HELP)
