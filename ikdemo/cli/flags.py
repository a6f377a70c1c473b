"""Read flags and words the way InfraKit's programs do, and say no in the same sentences.

Flags may stand anywhere among the words; ``--name x``, ``--name=x``, ``-n x``, ``-nx`` and grouped
short switches are one and the same; ``--`` ends them. argparse is not bent to this: flags of a verb
and of what it hangs below mix freely, and a value may begin with a dash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..spi.durations import parse_duration
from ..spi.errors import IkdemoError


def switch(text: str) -> bool:
    """Read the value of a switch, which may be left out.

    >>> switch("true"), switch("0")
    (True, False)
    """
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError("expected true or false")


def whole_number(text: str) -> int:
    """Read a whole number, 0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < 2**63):
        raise ValueError("expected a whole number, 0 or more")
    return int(text)


def listed(text: str) -> list[str]:
    """Read one line of comma-separated values, quotes allowed; a repeated flag adds to the list.

    >>> listed('a=1,"b=2,3"')
    ['a=1', 'b=2,3']
    """
    import csv  # of use to three flags only

    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise ValueError(str(error)) from None


def duration(text: str) -> float:
    """Read a duration; see ``durations``."""
    return parse_duration(text)


@dataclass(frozen=True)
class Flag:
    """One flag: ``read`` makes a value of its text, ``placeholder`` stands for that text in help
    pages.
    """

    name: str
    summary: str
    read: Callable[[str], Any] = str
    default: Any = ""
    short: str = ""
    placeholder: str = "string"

    @property
    def spelling(self) -> str:
        """How help pages write it."""
        short = f"-{self.short}, " if self.short else "    "
        return f"{short}--{self.name}" + ("" if self.read is switch else f" {self.placeholder}")


@dataclass(frozen=True)
class Parsed:
    """A command line taken apart: a value for every flag, and the words between them."""

    values: dict[str, Any]
    words: list[str]


def parse(argv: Sequence[str], flags: Iterable[Flag]) -> Parsed:
    """Take a command line apart.

    Raises IkdemoError for an unknown flag, a missing or an unfit value.
    """
    known = {flag.name: flag for flag in flags}
    values: dict[str, Any] = {flag.name: flag.default for flag in known.values()}
    words: list[str] = []
    for word, flag, text in _tokens(argv, known):
        if flag is None:
            words.append(word)
            continue
        try:
            value = flag.read(text)
        except ValueError as error:
            raise IkdemoError(f'invalid argument "{text}" for {word}: {error}') from None
        values[flag.name] = [*values[flag.name], *value] if flag.read is listed else value
    return Parsed(values, words)


def words_of(argv: Sequence[str], flags: Iterable[Flag]) -> list[str]:
    """Return the words of a command line whose verb, and so whose flags, are not known yet."""
    known = {flag.name: flag for flag in flags}
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            return words
        if word == "-" or not word.startswith("-"):
            words.append(word)
        elif _takes_next(word, known):
            next(rest, None)
    return words


def _takes_next(word: str, known: dict[str, Flag]) -> bool:
    flag = (
        known.get(word[2:])
        if word.startswith("--")
        else next((f for f in known.values() if f.short == word[1:]), None)
    )
    return flag is not None and flag.read is not switch


def _tokens(argv: Sequence[str], known: dict[str, Flag]) -> Iterator[tuple[str, Flag | None, str]]:
    """Yield (the argument, its flag or None for a word, the flag's text)."""
    rest = iter(argv)
    for word in rest:
        if word == "--":
            yield from ((plain, None, "") for plain in rest)
        elif word == "-" or not word.startswith("-"):
            yield word, None, ""
        elif word.startswith("--"):
            yield _long(word, known, rest)
        else:
            yield from _shorts(word, known, rest)


def _long(word: str, known: dict[str, Flag], rest: Iterator[str]) -> tuple[str, Flag, str]:
    name, equals, text = word[2:].partition("=")
    if not name or name[0] in "-=":
        raise IkdemoError(f"bad flag syntax: {word}")
    if name not in known:
        raise IkdemoError(f"unknown flag: --{name}")
    flag = known[name]
    if not equals:
        text = "true" if flag.read is switch else _next(rest, f"flag needs an argument: --{name}")
    return word, flag, text


def _shorts(
    word: str, known: dict[str, Flag], rest: Iterator[str]
) -> Iterator[tuple[str, Flag, str]]:
    """Take ``-q``, ``-qv``, ``-n x``, ``-nx`` and ``-n=x`` apart."""
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = next((f for f in known.values() if f.short == letter), None)
        if flag is None:
            raise IkdemoError(f"unknown shorthand flag: '{letter}' in {word}")
        if letters.startswith("="):
            text, letters = letters[1:], ""
        elif flag.read is switch:
            text = "true"
        else:
            text = letters or _next(rest, f"flag needs an argument: '{letter}' in {word}")
            letters = ""
        yield word, flag, text


def _next(rest: Iterator[str], complaint: str) -> str:
    try:
        return next(rest)
    except StopIteration:
        raise IkdemoError(complaint) from None
