"""Find the verb that a command line asks for, and run it.

Order of complaint is InfraKit's: unknown verb, flags, plugin not there, number of arguments, then the verb's own. Verbs stand in
modules of their own, loaded when asked for, because the start of the program is what a person waits for. Called by ``main``.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..spi.errors import IkdemoError
from ..spi.text import visible
from . import pages
from .flags import Flag, Parsed, parse, switch, words_of
from .logs import set_up
from .pages import HELP, LOG

QUIET = Flag("quiet", "no column names", switch, False, "q")


@dataclass(frozen=True)
class Call:
    """One verb called: its flags as ``call["name"]``, its arguments in order."""

    program: str
    values: Mapping[str, Any]
    arguments: Sequence[str]
    directory: Path

    def __getitem__(self, flag: str) -> Any:
        return self.values[flag]


def show(text: str) -> None:
    """Print a table unless it is empty; an empty one is no line at all."""
    if text:
        print(visible(text, keep="\n\t"))


def say(sentence: str) -> None:
    """Print one line, whatever the texts in it hold."""
    print(visible(sentence), flush=True)


Result = int | None | Coroutine[Any, Any, int | None]


@dataclass(frozen=True)
class Verb:
    """One verb. ``arguments`` are named as the help page names them; with none named, any number is taken and ignored.

    Names that end in ``...`` stand for any number, one in brackets for one or none.
    """

    name: str
    arguments: str
    summary: str
    run: Callable[[Call], Result]
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class Command:
    """The first word of a command line: a family of verbs about one kind of plugin (which then has ``--name``), or one verb.

    ``modules`` of the folder ``verbs`` hold the verbs, each in a tuple ``VERBS``.
    """

    name: str
    summary: str
    modules: tuple[str, ...]
    flags: tuple[Flag, ...] = ()

    def verbs(self) -> dict[str, Verb]:
        """Load the verbs."""
        loaded = [importlib.import_module(f"{__package__}.verbs.{module}") for module in self.modules]
        return {verb.name: verb for module in loaded for verb in module.VERBS}


@dataclass(frozen=True)
class Program:
    """A command line program. ``forgiving``: a wrong second word shows help and succeeds, as InfraKit's does."""

    name: str
    summary: str
    commands: tuple[Command, ...]
    forgiving: bool = False

    def run(self, argv: Sequence[str]) -> int:
        """Run one command line and return its exit status; raises what the verb raises."""
        words = words_of(argv, (LOG, Flag("name", "")))
        if words[:1] == ["help"]:
            return self._help_about(words[1:])
        if not words:
            parse(argv, (LOG, HELP))
            print(pages.page(self))
            return 0
        command = next((c for c in self.commands if c.name == words[0]), None)
        if command is None:
            raise IkdemoError(pages.unknown(words[0], self.name, [*(c.name for c in self.commands), "help"]))
        return self._run_command(command, argv)

    def _run_command(self, command: Command, argv: Sequence[str]) -> int:
        verbs = command.verbs()
        shared = (*command.flags, LOG, HELP)
        if command.name in verbs:
            verb, depth = verbs[command.name], 1
        else:
            words = words_of(argv, {flag.name: flag for v in verbs.values() for flag in (*v.flags, *shared)}.values())
            if len(words) < 2 or words[1] not in verbs:
                return self._no_verb(command, verbs, words[1:], argv)
            verb, depth = verbs[words[1]], 2
        parsed = parse(argv, (*verb.flags, *shared))
        set_up(parsed.values["log"])
        if parsed.values["help"]:
            print(pages.verb_page(self, command, verb))
            return 0
        return self._call(command, verb, Parsed(parsed.values, parsed.words[depth:]))

    def _no_verb(self, command: Command, verbs: dict[str, Verb], rest: list[str], argv: Sequence[str]) -> int:
        if not rest:
            parse(argv, (*command.flags, LOG, HELP))
        else:
            complaint = pages.unknown(rest[0], f"{self.name} {command.name}", list(verbs))
            if not self.forgiving:
                raise IkdemoError(complaint)
            logging.getLogger(__name__).warning(complaint)
        print(pages.command_page(self, command, verbs))
        return 0

    def _call(self, command: Command, verb: Verb, parsed: Parsed) -> int:
        from ..rpc.discovery import plugin_dir
        from .connections import find

        directory = plugin_dir()
        if "name" in parsed.values:
            find(directory, parsed.values["name"])
        named = verb.arguments.split()
        most, least = len(named), sum(not name.startswith("[") for name in named)
        if named and not verb.arguments.endswith("...") and not least <= len(parsed.words) <= most:
            print(pages.verb_page(self, command, verb), file=sys.stderr)
            return 1
        result = verb.run(Call(self.name, parsed.values, parsed.words, directory))
        if isinstance(result, Coroutine):
            import asyncio

            result = asyncio.run(result)
        return result or 0

    def _help_about(self, words: list[str]) -> int:
        command = next((c for c in self.commands if words and c.name == words[0]), None)
        if command is None:
            if words:
                print(f"There is no help about {' '.join(words)!r}.\n\n{pages.page(self)}", file=sys.stderr)
            else:
                print(pages.page(self))
            return 0
        verbs = command.verbs()
        verb = verbs.get(words[1] if len(words) > 1 else command.name)
        print(pages.verb_page(self, command, verb) if verb else pages.command_page(self, command, verbs))
        return 0
