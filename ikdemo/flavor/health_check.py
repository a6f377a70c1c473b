"""Health checks of one instance: what is checked and how often, a single check, the health that
follows from several, and the loop that makes them.

A single check (``run_check``) is a page asked for, a connection made, or a command run: yes or no,
and why not. It never raises for what an instance does. ``HealthTracker`` counts checks,
``MonitoredInstance`` makes them in its own rhythm.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, NamedTuple

from msgspec import Meta

from ..spi.documents import Description, Document, Health
from ..spi.durations import parse_duration
from ..spi.errors import PluginFailure, SpecError

PORT_TAG, ADDRESS_TAG = "port", "Address"
"""Tags that say where an instance answers: a TCP port of this machine, or a host (with a port of
its own, or not).
"""
LONGEST = 3600.0
_BODY = 64 * 1024


class HealthCheck(Document, frozen=True):
    """What is looked at; exactly one. ``http``: the path of a page. ``tcp``: a connection.
    ``command``: its exit status.
    """

    http: str | None = None
    tcp: bool | None = None
    command: list[str] | None = None


class ProbeProperties(Document, frozen=True):
    """A check and its rhythm; durations as Go writes them. ``threshold``: failures in a row that
    make an instance unhealthy.
    """

    check: HealthCheck = HealthCheck()
    interval: str = "1s"
    timeout: str = "1s"
    threshold: Annotated[int, Meta(ge=1, le=1000)] = 3


class Endpoint(NamedTuple):
    """Where an instance answers."""

    host: str
    port: int


def check_properties(probe: ProbeProperties) -> None:
    """Refuse what types cannot refuse; raises SpecError."""
    check = probe.check
    if sum((check.http is not None, check.tcp is True, check.command is not None)) != 1:
        raise SpecError(
            "$.Properties.Check: expected one of HTTP, TCP and Command",
            path="$.Properties.Check",
            expected="one check",
        )
    if check.http is not None and not (
        check.http.startswith("/") and check.http.isascii() and check.http.isprintable()
    ):
        raise SpecError(
            '$.Properties.Check.HTTP: expected a path such as "/"',
            path="$.Properties.Check.HTTP",
            expected="a path",
        )
    if check.http is not None and " " in check.http:
        raise SpecError(
            "$.Properties.Check.HTTP: a path has no blanks",
            path="$.Properties.Check.HTTP",
            expected="a path",
        )
    if check.command is not None and not (
        check.command and check.command[0] and "\0" not in "".join(check.command)
    ):
        where = "$.Properties.Check.Command"
        raise SpecError(
            f"{where}: expected a program and its arguments", path=where, expected="a program"
        )
    for name, text in (("Interval", probe.interval), ("Timeout", probe.timeout)):
        seconds_of(text, f"$.Properties.{name}")


def seconds_of(text: str, path: str) -> float:
    """Return a duration in seconds; raises SpecError.

    >>> seconds_of("250ms", "$")
    0.25
    """
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise SpecError(f"{path}: {error}", path=path, expected="a duration") from None
    if not 0.01 <= seconds <= LONGEST:
        raise SpecError(
            f"{path}: expected a duration between 10ms and 1h, got {text!a}",
            path=path,
            expected="10ms to 1h",
        )
    return seconds


def endpoint_of(instance: Description) -> Endpoint:
    """Return where an instance answers, by its tags; raises PluginFailure when they do not say.

    >>> endpoint_of(Description("i", None, {"port": "8080"}))
    Endpoint(host='127.0.0.1', port=8080)
    >>> endpoint_of(Description("i", None, {"Address": "[::1]:80", "port": "8080"}))
    Endpoint(host='::1', port=80)
    """
    tags = instance.tags or {}
    host, port = tags.get(ADDRESS_TAG) or "127.0.0.1", tags.get(PORT_TAG, "")
    if host.startswith("[") or host.count(":") == 1:
        host, _, own = host.removeprefix("[").replace("]", "").rpartition(":")
        port = own or port
    if not (
        port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 2**16 and host
    ):
        raise PluginFailure(
            f"{instance.id} has no tag {PORT_TAG!r} that says where it can be checked"
        )
    return Endpoint(host, int(port))


async def run_check(
    check: HealthCheck, endpoint: Endpoint | None, variables: Mapping[str, str], timeout: float
) -> str:
    """Check once, within ``timeout`` seconds; return nothing when all is well, else what is not."""
    try:
        async with asyncio.timeout(timeout):
            if check.command is not None:
                return await _command(check.command, variables)
            assert endpoint is not None, "only a command goes without"
            return (
                await _connects(endpoint)
                if check.http is None
                else await _answers(endpoint, check.http)
            )
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        number = error.errno if isinstance(error, OSError) else None
        return (os.strerror(number) if number else str(error) or type(error).__name__).lower()


async def _connects(endpoint: Endpoint) -> str:
    _, writer = await asyncio.open_connection(*endpoint)
    writer.transport.abort()
    return ""


async def _answers(endpoint: Endpoint, path: str) -> str:
    """Ask for a page; a status from 200 to 399 is well."""
    reader, writer = await asyncio.open_connection(*endpoint, limit=_BODY)
    try:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{endpoint.port}\r\nConnection: "
            "close\r\n\r\n".encode()
        )
        line = (await reader.readuntil(b"\n")).split()
        if len(line) < 2 or not line[0].startswith(b"HTTP/") or not line[1].isdigit():
            return "what answers does not speak HTTP"
        with suppress(OSError, TimeoutError):
            # not wait_for, in which a cancellation can be lost before Python 3.12
            async with asyncio.timeout(0.1):
                await reader.read(_BODY)  # a server that is read from has nothing to complain about
        status = int(line[1])
        return "" if 200 <= status < 400 else f"HTTP status {status}"
    finally:
        writer.transport.abort()


async def _command(command: list[str], variables: Mapping[str, str]) -> str:
    """Run a command; status 0 is well. Its whole group is killed when time is up."""
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        env={**os.environ, **variables},
        start_new_session=True,
    )
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return "" if status == 0 else f"{command[0]} ended with status {status}"


class CheckSettings(NamedTuple):
    """How an instance is to be checked. Times are in seconds; ``variables`` are for a command."""

    check: HealthCheck
    endpoint: Endpoint | None
    variables: tuple[tuple[str, str], ...]
    interval: float
    timeout: float
    threshold: int


class HealthTracker:
    """Health from single checks: healthy after a good one, unhealthy after ``threshold`` bad ones
    in a row.

    What was never healthy is only starting, and unknown, for ``start_up`` seconds from ``now`` on.

    >>> tracker = HealthTracker(2, 30.0, now=0.0)
    >>> [tracker.record(good, now=1.0).name for good in (False, False, False, True)]
    ['UNKNOWN', 'UNKNOWN', 'UNKNOWN', 'HEALTHY']
    >>> [tracker.record(good, now=1.0).name for good in (False, False, True)]
    ['HEALTHY', 'UNHEALTHY', 'HEALTHY']
    """

    def __init__(self, threshold: int, start_up: float, now: float) -> None:
        self._threshold, self._starts_until = threshold, now + start_up
        self._failures = 0
        self.health = Health.UNKNOWN

    def record(self, good: bool, now: float) -> Health:
        """Return the health after one more check."""
        self._failures = 0 if good else self._failures + 1
        if good:
            self.health = Health.HEALTHY
        elif self._failures >= self._threshold and (
            self.health is not Health.UNKNOWN or now >= self._starts_until
        ):
            self.health = Health.UNHEALTHY
        return self.health


class MonitoredInstance:
    """One instance, from construction to ``stop``; ``changed`` is called with each new health and
    why.
    """

    def __init__(
        self,
        instance: Description,
        settings: CheckSettings,
        gate: asyncio.Semaphore,
        start_up: float,
        changed: Callable[[Description, Health, str], None],
    ) -> None:
        self.instance, self.settings = instance, settings
        self.asked = time.monotonic()
        self._gate, self._changed = gate, changed
        self._tracker = HealthTracker(settings.threshold, start_up, self.asked)
        self._task = asyncio.create_task(self._watch())

    @property
    def health(self) -> Health:
        return self._tracker.health

    def stop(self) -> asyncio.Task[None]:
        """Check no more; return what is to be awaited for its end."""
        self._task.cancel()
        return self._task

    async def _watch(self) -> None:
        due = time.monotonic()
        while True:
            settings, before = self.settings, self.health
            async with self._gate:
                wrong = await run_check(
                    settings.check, settings.endpoint, dict(settings.variables), settings.timeout
                )
            if self._tracker.record(not wrong, time.monotonic()) is not before:
                self._changed(self.instance, self.health, wrong)
            # from begin to begin: a slow answer delays nothing
            due = max(due + settings.interval, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
