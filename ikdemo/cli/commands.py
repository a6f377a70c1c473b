"""Find the verb that a command line asks for, and run it.

Order of complaint is InfraKit's: unknown verb, flags, plugin not there, number of arguments, then
the verb's own. Verbs stand in modules of their own, loaded when asked for, because the start of the
program is what a person waits for.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..spi.durations import format_duration
from ..spi.errors import IkdemoError
from ..spi.text import aligned, visible
from .flags import Flag, Parsed, duration, parse, switch, whole_number, words_of
from .logs import set_up

QUIET = Flag("quiet", "no column names", switch, False, "q")


@dataclass(frozen=True)
class Invocation:
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
    """One verb. ``arguments`` are named as the help page names them; with none named, any number is
    taken and ignored.

    Names that end in ``...`` stand for any number, one in brackets for one or none.
    """

    name: str
    arguments: str
    summary: str
    run: Callable[[Invocation], Result]
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class Command:
    """The first word of a command line: a family of verbs about one kind of plugin (which then has
    ``--name``), or one verb.

    ``tuples`` of the folder ``verbs`` hold the verbs, named as ``module.NAME``; of two verbs with
    one name, the latter counts.
    """

    name: str
    summary: str
    tuples: tuple[str, ...]
    flags: tuple[Flag, ...] = ()

    def verbs(self) -> dict[str, Verb]:
        """Load the verbs."""
        found: dict[str, Verb] = {}
        for module, _, name in (where.rpartition(".") for where in self.tuples):
            verbs = getattr(importlib.import_module(f"{__package__}.verbs.{module}"), name)
            found |= {verb.name: verb for verb in verbs}
        return found


@dataclass(frozen=True)
class Program:
    """A command line program. ``forgiving``: a wrong second word shows help and succeeds, as
    InfraKit's does.
    """

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
            print(page(self))
            return 0
        command = next((c for c in self.commands if c.name == words[0]), None)
        if command is None:
            raise IkdemoError(
                unknown(words[0], self.name, [*(c.name for c in self.commands), "help"])
            )
        return self._run_command(command, argv)

    def _run_command(self, command: Command, argv: Sequence[str]) -> int:
        verbs = command.verbs()
        shared = (*command.flags, LOG, HELP)
        if command.name in verbs:
            verb, depth = verbs[command.name], 1
        else:
            words = words_of(
                argv,
                {flag.name: flag for v in verbs.values() for flag in (*v.flags, *shared)}.values(),
            )
            if len(words) < 2 or words[1] not in verbs:
                return self._no_verb(command, verbs, words[1:], argv)
            verb, depth = verbs[words[1]], 2
        parsed = parse(argv, (*verb.flags, *shared))
        set_up(parsed.values["log"])
        if parsed.values["help"]:
            print(verb_page(self, command, verb))
            return 0
        return self._call(command, verb, Parsed(parsed.values, parsed.words[depth:]))

    def _no_verb(
        self, command: Command, verbs: dict[str, Verb], rest: list[str], argv: Sequence[str]
    ) -> int:
        if not rest:
            parse(argv, (*command.flags, LOG, HELP))
        else:
            complaint = unknown(rest[0], f"{self.name} {command.name}", list(verbs))
            if not self.forgiving:
                raise IkdemoError(complaint)
            logging.getLogger(__name__).warning(complaint)
        print(command_page(self, command, verbs))
        return 0

    def _call(self, command: Command, verb: Verb, parsed: Parsed) -> int:
        from ..rpc.discovery import plugin_dir
        from .verb_inputs import find

        directory = plugin_dir()
        if "name" in parsed.values:
            find(directory, parsed.values["name"])
        named = verb.arguments.split()
        most, least = len(named), sum(not name.startswith("[") for name in named)
        if named and not verb.arguments.endswith("...") and not least <= len(parsed.words) <= most:
            print(verb_page(self, command, verb), file=sys.stderr)
            return 1
        result = verb.run(Invocation(self.name, parsed.values, parsed.words, directory))
        if isinstance(result, Coroutine):
            import asyncio

            result = asyncio.run(result)
        return result or 0

    def _help_about(self, words: list[str]) -> int:
        command = next((c for c in self.commands if words and c.name == words[0]), None)
        if command is None:
            if words:
                print(
                    f"There is no help about {' '.join(words)!r}.\n\n{page(self)}", file=sys.stderr
                )
            else:
                print(page(self))
            return 0
        verbs = command.verbs()
        verb = verbs.get(words[1] if len(words) > 1 else command.name)
        print(verb_page(self, command, verb) if verb else command_page(self, command, verbs))
        return 0


LOG = Flag(
    "log",
    "what is logged: 0 panic, 1 fatal, 2 error, 3 warn, 4 info, 5 debug",
    whole_number,
    4,
    placeholder="level",
)
HELP = Flag("help", "this page", switch, False, "h")


def page(program: Program) -> str:
    """Return the help page of a program."""
    rows = [(c.name, c.summary) for c in program.commands] + [
        ("help", "The page about any of these: help group commit")
    ]
    return (
        f"{program.summary}\n\nUsage: {program.name} "
        f"COMMAND\n\n{_table('Commands', rows)}\n\n{flag_table((LOG, HELP))}"
    )


def command_page(program: Program, command: Command, verbs: Mapping[str, Verb]) -> str:
    """Return the help page of a family of verbs."""
    rows = [(f"{v.name} {v.arguments}".strip(), v.summary) for v in verbs.values()]
    usage = f"Usage: {program.name} {command.name} VERB"
    flags = flag_table((*command.flags, LOG, HELP))
    return f"{command.summary}.\n\n{usage}\n\n{_table('Verbs', rows)}\n\n{flags}"


def verb_page(program: Program, command: Command, verb: Verb) -> str:
    """Return the help page of one verb, which is also what a wrong number of arguments is told."""
    words = [
        program.name,
        command.name,
        verb.name if verb.name != command.name else "",
        verb.arguments,
        "[flags]",
    ]
    usage = "Usage: " + " ".join(word for word in words if word)
    return f"{verb.summary}.\n\n{usage}\n\n{flag_table((*verb.flags, *command.flags, LOG, HELP))}"


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    return f"{title}:\n" + "\n".join(f"  {line}" for line in aligned(rows))


def flag_table(flags: Sequence[Flag]) -> str:
    """Lay flags out for a help page."""
    return _table("Flags", [(flag.spelling, flag.summary + _default(flag)) for flag in flags])


def _default(flag: Flag) -> str:
    if flag.default is True:
        return " (default true)"
    if not flag.default:
        return ""
    return f" (default {format_duration(flag.default) if flag.read is duration else flag.default})"


def unknown(word: str, place: str, known: Sequence[str]) -> str:
    r"""Say that a word is no verb here, and which one may have been meant.

    >>> unknown("versoin", "infrakit", ["version", "plugin"])
    'unknown command "versoin" for "infrakit"\n\nDid you mean this?\n\tversion\n'
    """
    close = sorted(
        name
        for name in known
        if name.startswith(word.lower()) or _distance(word.lower(), name) <= 2
    )
    hint = "\n\nDid you mean this?\n" + "".join(f"\t{name}\n" for name in close) if close else ""
    return f'unknown command "{word}" for "{place}"{hint}'


def _distance(a: str, b: str) -> int:
    """Count the letters to change, add or drop between two words (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]
