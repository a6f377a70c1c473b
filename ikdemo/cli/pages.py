"""Help pages, and what somebody is told who mistyped a verb. Called by ``commands`` and ``programs``; nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..spi.durations import format_duration
from .flags import Flag, duration, switch, whole_number

if TYPE_CHECKING:
    from .commands import Command, Program, Verb

LOG = Flag("log", "what is logged: 0 panic, 1 fatal, 2 error, 3 warn, 4 info, 5 debug", whole_number, 4, placeholder="level")
HELP = Flag("help", "this page", switch, False, "h")


def page(program: Program) -> str:
    """Return the help page of a program."""
    rows = [(c.name, c.summary) for c in program.commands] + [("help", "The page about any of these: help group commit")]
    return f"{program.summary}\n\nUsage: {program.name} COMMAND\n\n{_table('Commands', rows)}\n\n{flag_table((LOG, HELP))}"


def command_page(program: Program, command: Command, verbs: Mapping[str, Verb]) -> str:
    """Return the help page of a family of verbs."""
    rows = [(f"{v.name} {v.arguments}".strip(), v.summary) for v in verbs.values()]
    usage = f"Usage: {program.name} {command.name} VERB"
    return f"{command.summary}.\n\n{usage}\n\n{_table('Verbs', rows)}\n\n{flag_table((*command.flags, LOG, HELP))}"


def verb_page(program: Program, command: Command, verb: Verb) -> str:
    """Return the help page of one verb, which is also what a wrong number of arguments is told."""
    words = [program.name, command.name, verb.name if verb.name != command.name else "", verb.arguments, "[flags]"]
    usage = "Usage: " + " ".join(word for word in words if word)
    return f"{verb.summary}.\n\n{usage}\n\n{flag_table((*verb.flags, *command.flags, LOG, HELP))}"


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(left) for left, _ in rows)
    return f"{title}:\n" + "\n".join(f"  {left:<{width}}  {right}" for left, right in rows)


def flag_table(flags: Sequence[Flag]) -> str:
    """Lay flags out for a help page."""
    return _table("Flags", [(flag.spelling, flag.summary + _default(flag)) for flag in flags])


def _default(flag: Flag) -> str:
    if not flag.default:
        return ""
    return f" (default {format_duration(flag.default) if flag.read is duration else flag.default})"


def unknown(word: str, place: str, known: Sequence[str]) -> str:
    r"""Say that a word is no verb here, and which one may have been meant.

    >>> unknown("versoin", "infrakit", ["version", "plugin"])
    'unknown command "versoin" for "infrakit"\n\nDid you mean this?\n\tversion\n'
    """
    close = sorted(name for name in known if name.startswith(word.lower()) or _distance(word.lower(), name) <= 2)
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
