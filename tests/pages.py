"""The commands of a page, typed as a reader would: one shell for what ends, a terminal of its own for each program that stays.

In a ``console`` block a line that begins with ``$`` is typed, the lines below it are what comes back, and ``^C`` is Ctrl-C in
every terminal in which a program stays; the blocks of a page are one story. What differs from run to run (IDs, times, ports, the
place of the sockets) is put aside before texts are compared.
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
STAYS = re.compile(r"infrakit-(group|instance|flavor)-|ikdemo (up|lab|events)\b|python greeter\.py|make lab\b")
"""A command that goes on until Ctrl-C."""
CTRL_C = "^C"
PLUGINS = "/home/you/.infrakit/plugins"
"""Where the pages say the sockets are."""
PATIENCE = 60.0
"""Seconds for one command: only what hangs takes so long."""


@dataclass
class Typed:
    """One command of a page, what the page says comes back, and below which heading."""

    command: str
    expected: str
    heading: str = ""


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a language, in the order of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def typed(page: str) -> list[Typed]:
    """Return what a reader types, from the top of the page to its end."""
    lines, heading, inside = list[Typed](), "", False
    for line in (ROOT / page).read_text().splitlines(keepends=True):
        if line.startswith("```"):
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
    text = re.sub(r"^ *D .*, waiting for .*\n", "", text, flags=re.MULTILINE)  # what a long wait says meanwhile
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


class Story:
    """A shell and terminals that begin in one folder, with our programs on the PATH and a plugin directory of their own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        """``variables`` are set in the environment of all terminals."""
        self.folder, self.plugins = folder, folder / "plugins"
        self._staying: list[tuple[str, subprocess.Popen[bytes]]] = []
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
        """Type one command; return what comes back, settled. A program that stays is read until it has said what is expected."""
        if line.command == CTRL_C:
            self.interrupt()
            return ""
        if STAYS.match(line.command):
            return self._stay(line)
        return settled(self.enter(line.command), self.plugins)

    def interrupt(self, status: int = 0) -> None:
        """Press Ctrl-C in every terminal in which a program stays, the last one first; each has to end with this status."""
        for _, program in reversed(self._staying):
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(program.pid, signal.SIGINT)  # as a terminal does it
        while self._staying:
            command, program = self._staying.pop()
            assert program.wait(PATIENCE) == status, command

    def staying(self) -> list[str]:
        """Return the programs that nobody has ended yet."""
        return [command for command, program in self._staying if program.poll() is None]

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
        found = [pid for pid, told in procfs.with_variable(ENVIRONMENT) if told[os.fsencode(ENVIRONMENT)] == own]
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
                assert selector.select(deadline - time.monotonic()), f"{command} does not end: {printed.decode()}"
                part = os.read(self._shell.stdout.fileno(), 65536)
                assert part, f"{command} ended the shell: {printed.decode()}"
                printed += part
        return printed.removesuffix(mark)

    def open(self, command: str) -> Path:
        """Open a terminal for a program that stays, in the folder in which the shell is by now; return what it will have said."""
        said = self.folder / f"terminal-{secrets.token_hex(4)}"
        with said.open("wb") as out:
            program = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=f"/proc/{self._shell.pid}/cwd",
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._staying.append((command, program))
        return said

    def await_words(self, said: Path, are_there: Callable[[str], bool], patience: float = PATIENCE) -> str:
        """Wait until the terminal that was opened last has said something, and return all that it has said."""
        (command, program), deadline = self._staying[-1], time.monotonic() + patience
        while not are_there(said.read_text()):
            assert program.poll() is None, f"{command} ended: {said.read_text()}"
            assert time.monotonic() < deadline, f"{command} says only: {said.read_text()}"
            time.sleep(0.01)
        return said.read_text()

    def _stay(self, line: Typed) -> str:
        """Open a terminal for a program, and wait until it has said what the page prints, in whatever order."""
        wanted = Counter(settled(line.expected, self.plugins).splitlines())
        said = self.await_words(self.open(line.command), lambda text: wanted <= self._lines(text))
        return settled(line.expected if self._lines(said) == wanted else said, self.plugins)

    def _lines(self, text: str) -> Counter[str]:
        return Counter(settled(text, self.plugins).splitlines())


def command_of(pid: int) -> str:
    """Return the command line of a process, for people."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:100]
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
