"""The commands of a page, typed as a reader would: one shell for what ends, a terminal of its own
for each program that stays.

In a ``console`` block a line that begins with ``$`` is typed, the lines below it are what comes
back, and ``^C`` is Ctrl-C in every terminal in which a program stays. A ``log`` block is what a
terminal has said meanwhile; beside ``log`` stands a part of the command that was typed there. The
blocks of a page are one story. What differs from run to run (IDs, times, ports, the place of the
sockets) is put aside before texts are compared.
"""

from __future__ import annotations

import os
import re
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ikdemo.instance import procfs
from ikdemo.rpc.discovery import ENVIRONMENT

ROOT = Path(__file__).parents[1]
STAYS = re.compile(
    r"infrakit-(group|instance|flavor)-|infrakit-manager\b|ikdemo (up|lab|events)\b"
    r"|python greeter\.py|make lab\b"
)
"""A command that goes on until Ctrl-C."""
CTRL_C = "^C"
PLUGINS = "/home/you/.infrakit/plugins"
"""Where the pages say the sockets are."""
PATIENCE = 60.0
"""Seconds for one command: only what hangs takes so long."""


@dataclass
class Typed:
    """One command of a page, what the page says comes back, and below which heading; or what a
    terminal has said.
    """

    command: str
    expected: str
    heading: str = ""
    terminal: str = ""
    """A part of the command of the terminal that has said it; empty for what is typed."""


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a language, in the order of the page."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )


def typed(page: str) -> list[Typed]:
    """Return what a reader types, from the top of the page to its end."""
    lines, heading, inside = list[Typed](), "", False
    for line in (ROOT / page).read_text().splitlines(keepends=True):
        if line.startswith("```log "):
            lines.append(Typed("", "", heading, terminal=line.removeprefix("```log ").strip()))
            inside = True
        elif line.startswith("```"):
            inside = line == "```console\n"
        elif inside and line.startswith("$ "):
            lines.append(Typed(line[2:].strip(), "", heading))
        elif inside and line.strip() == CTRL_C:
            lines.append(Typed(CTRL_C, "", heading))
        elif inside:
            lines[-1].expected += line
        elif line.startswith("## "):
            heading = line[3:].strip()
    return lines


def settled(text: str, plugins: Path) -> str:
    """Put aside what differs from run to run."""
    text = text.replace(str(plugins), PLUGINS)
    text = re.sub(r'time="[^"]*"', 'time="T"', text)
    text = re.sub(r"instance-\d{6,}", "instance-N", text)
    text = re.sub(r"\b(port|pid)=\d+", r"\1=N", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "CONTAINER", text)
    text = re.sub(r"\bversion \d\S*", "version V", text)
    text = re.sub(r"\b\d+(\.\d+)?(ms|µs|s)\b", "D", text)
    text = re.sub(r"\bslot \d+", "slot S", text)
    # two that go at once may be seen one by one
    text = re.sub(r"Adding \d+ instances? to| \(and \d+ more\)", "", text)
    # what a long wait says meanwhile
    text = re.sub(r"^ *D .*, waiting for .*\n", "", text, flags=re.MULTILINE)
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


@dataclass
class Terminal:
    """A terminal with a program that stays, and the file of what it has said."""

    command: str
    program: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text()

    def await_words(self, are_there: Callable[[str], bool], patience: float = PATIENCE) -> str:
        """Wait until the program has said something, and return all that it has said."""
        deadline = time.monotonic() + patience
        while not are_there(self.said):
            assert self.program.poll() is None, f"{self.command} ended: {self.said}"
            assert time.monotonic() < deadline, f"{self.command} says only: {self.said}"
            time.sleep(0.01)
        return self.said


class Story:
    """A shell and terminals that begin in one folder, with our programs on the PATH and a plugin
    directory of their own.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        """``variables`` are set in the environment of all terminals."""
        self.folder, self.plugins = folder, folder / "plugins"
        self._terminals: list[Terminal] = []
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, ENVIRONMENT: str(self.plugins)} | variables
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def type(self, line: Typed) -> str:
        """Type one command; return what comes back, settled. A terminal is read until it has said
        what is expected.
        """
        if line.terminal:
            return self._has_said(line)
        if line.command == CTRL_C:
            self.interrupt()
            return ""
        if STAYS.match(line.command):
            return self._stay(line)
        return settled(self.enter(line.command), self.plugins)

    def interrupt(self, status: int = 0) -> None:
        """Press Ctrl-C in every terminal in which a program stays, the last one first; each has to
        end with this status.
        """
        for terminal in reversed(self._terminals):
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(terminal.program.pid, signal.SIGINT)  # as a terminal does it
        while self._terminals:
            terminal = self._terminals.pop()
            assert terminal.program.wait(PATIENCE) == status, terminal.command

    def staying(self) -> list[str]:
        """Return the programs that were not ended yet."""
        return [terminal.command for terminal in self._terminals if terminal.program.poll() is None]

    def running(self) -> list[str]:
        """Return every process of this story but its shell: programs, and what they started."""
        return [f"{pid} {command_of(pid)}" for pid in self._knowing()]

    def end(self) -> None:
        """Close the shell, and end whatever stays."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(PATIENCE)
        assert self._shell.stdout is not None
        self._shell.stdout.close()
        try:
            self.interrupt()
        finally:
            for pid in self._knowing():  # of a story that failed half-way
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _knowing(self) -> list[int]:
        """Return the processes that were started to see this story's plugin directory."""
        own = os.fsencode(str(self.plugins))
        found = [
            pid
            for pid, told in procfs.with_variable(ENVIRONMENT)
            if told[os.fsencode(ENVIRONMENT)] == own
        ]
        return [pid for pid in found if pid != self._shell.pid]

    def enter(self, command: str) -> str:
        """Let the shell run a command to its end, and return what it printed."""
        mark = secrets.token_hex(8)
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf %s {mark}\n".encode())
        self._shell.stdin.flush()
        printed = self._read_until(mark.encode(), command)
        return printed.decode(errors="replace")

    def _read_until(self, mark: bytes, command: str) -> bytes:
        assert self._shell.stdout is not None
        printed, deadline = b"", time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(self._shell.stdout, selectors.EVENT_READ)
            while not printed.endswith(mark):
                assert selector.select(deadline - time.monotonic()), (
                    f"{command} does not end: {printed.decode()}"
                )
                part = os.read(self._shell.stdout.fileno(), 65536)
                assert part, f"{command} ended the shell: {printed.decode()}"
                printed += part
        return printed.removesuffix(mark)

    def open(self, command: str) -> Terminal:
        """Open a terminal for a program that stays, in the folder in which the shell is by now."""
        output = self.folder / f"terminal-{secrets.token_hex(4)}"
        with output.open("wb") as out:
            program = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=f"/proc/{self._shell.pid}/cwd",
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._terminals.append(Terminal(command, program, output))
        return self._terminals[-1]

    def _stay(self, line: Typed) -> str:
        """Open a terminal for a program, and wait until it has said what the page prints, in
        whatever order; more may follow.
        """
        wanted = self._lines(line.expected)
        self.open(line.command).await_words(lambda text: wanted <= self._lines(text))
        return settled(line.expected, self.plugins)

    def _has_said(self, line: Typed) -> str:
        """Wait until a terminal has said every line of the page, each once or more, and return
        them.
        """
        (terminal,) = (one for one in self._terminals if line.terminal in one.command)
        wanted = self._lines(line.expected)
        terminal.await_words(lambda text: wanted.keys() <= self._lines(text).keys())
        return settled(line.expected, self.plugins)

    def _lines(self, text: str) -> Counter[str]:
        return Counter(settled(text, self.plugins).splitlines())


def command_of(pid: int) -> str:
    """Return the command line of a process, for people."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")[:100]
        )
    except OSError:
        return "(gone)"


@contextmanager
def story(folder: Path, **variables: str) -> Iterator[Story]:
    """Give the terminals of one story; whatever happens, all that it started is ended."""
    told = Story(folder, **variables)
    try:
        yield told
    finally:
        told.end()
