"""What an engine is asked, in a coroutine each. The SDK blocks, so a call has a thread, and there
are only so many.

Whose containers they are is not known here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from ..spi.errors import OutcomeUnknown, PluginFailure, PluginUnavailable, SpecError
from .engine_client import EngineAddress, EngineClient

T = TypeVar("T")
Row = Mapping[str, Any]
"""A container as the engine lists it, or an event as it tells it: JSON, in the words of Docker's
API.
"""

TIMEOUT = 20.0
"""Seconds until a call without an answer is given up; it may have happened all the same."""
AT_ONCE = 16
"""Calls in flight at a time, pulls and event streams not counted."""
EVENT_KINDS = ("create", "start", "kill", "oom", "die", "destroy")
"""The events that are asked for."""


class EngineEvents(NamedTuple):
    """Events that are being told. ``over`` is done when no more will come; ``close`` ends it."""

    over: asyncio.Future[None]
    close: Callable[[], None]


class Engine:
    """One engine, for one event loop. ``timeout``: seconds for a call. Every question can raise
    what ``EngineClient.ask`` raises.
    """

    def __init__(self, timeout: float = TIMEOUT, address: EngineAddress | None = None) -> None:
        """Find out where the engine is, without asking it; raises IkdemoError when that cannot be
        told.
        """
        self._client = EngineClient(timeout, AT_ONCE, address)
        self.timeout = timeout
        self._room = asyncio.Semaphore(AT_ONCE)
        self.host = self._client.host
        self.disconnect = self._client.disconnect

    @property
    def address(self) -> str:
        """The address at which ports of the engine's machine are reached from here."""
        scheme, _, _ = self.host.partition("://")
        return (
            urlsplit(self.host).hostname if scheme in ("tcp", "http", "https", "ssh") else None
        ) or "127.0.0.1"

    async def info(self) -> Row:
        """Return what the engine says of itself."""
        return await self.ask(lambda api: _document(api.info()))

    async def containers(self, labels: Sequence[str] = (), container: str = "") -> list[Row]:
        """List containers in whatever state: with all of these labels, each ``key=value``, or the
        one of this ID.

        A list that makes no sense, or contradicts itself, is no list: raises OutcomeUnknown.
        """
        filters = {"label": list(labels), **({"id": container} if container else {})}
        try:
            return await self.ask(lambda api: _rows(api.containers(all=True, filters=filters)))
        except SpecError as error:
            # an engine that does not understand the question; no spec can help
            raise PluginFailure(str(error)) from None

    async def state(self, container: str) -> str | None:
        """Return what a container does, such as ``running``; None for one that the engine says is
        not there.
        """
        return await self.ask(
            lambda api: _unless_gone(
                lambda: str(api.inspect_container(container)["State"]["Status"])
            )
        )

    async def create(self, name: str, config: Mapping[str, Any]) -> str | None:
        """Create a container as Docker's API describes one and return its ID, or None when the
        engine lacks the image.
        """
        from docker.errors import ImageNotFound

        def work(api: Any) -> str | None:
            try:
                return str(api.create_container_from_config(config, name)["Id"])
            except ImageNotFound:
                return None

        return await self.ask(work)

    async def start(self, container: str) -> None:
        """Start a container."""
        await self.ask(lambda api: api.start(container))

    async def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """Send a signal to a container, paused or not; one that does not run any longer is no
        error.
        """
        await self.ask(lambda api: _unless_gone(lambda: api.kill(container, signal)))

    async def remove(self, container: str) -> None:
        """Kill and remove a container and the volumes that only it has; one that is gone or going
        is no error.
        """
        await self.ask(
            lambda api: _unless_gone(lambda: api.remove_container(container, force=True, v=True))
        )

    async def logs(self, container: str, lines: int = 0) -> bytes:
        """Return the last lines that a container printed, all that is kept for 0; nothing if it is
        gone.
        """
        return (
            await self.ask(
                lambda api: _unless_gone(lambda: api.logs(container, tail=lines or "all"))
            )
            or b""
        )

    async def pull(self, image: str, progress: Callable[[int], None]) -> None:
        """Pull an image, telling from a thread how many per cent have come of what is known to
        come.
        """

        def work(api: Any) -> None:
            layers: dict[str, tuple[int, int]] = {}
            for said in api.pull(image, stream=True, decode=True):
                if "error" in said:
                    raise PluginFailure(said["error"])
                come = said.get("progressDetail") or {}
                if said.get("status") == "Downloading" and come.get("total"):
                    layers[said["id"]] = (come["current"], come["total"])
                    progress(
                        100
                        * sum(now for now, _ in layers.values())
                        // sum(whole for _, whole in layers.values())
                    )

        await in_thread(lambda: self._client.ask(work))

    async def follow(
        self, labels: Sequence[str], since: int, on_event: Callable[[Row], None]
    ) -> EngineEvents:
        """Have ``on_event`` called in this loop for what happens to containers with these labels,
        from now on, or after ``since``.

        ``since`` is a time as the engine tells it, in nanoseconds. It remembers some 250 events,
        and none from before its own start, so its followers list the containers too.
        """
        after = f"{(since + 1) // 10**9}.{(since + 1) % 10**9:09d}" if since else None
        filters = {"type": ["container"], "label": list(labels), "event": list(EVENT_KINDS)}
        return await self.follow_events(filters, after, on_event)

    async def follow_events(
        self,
        filters: Mapping[str, Sequence[str]],
        after: str | None,
        on_event: Callable[[Row], None],
    ) -> EngineEvents:
        """Have ``on_event`` called in this loop for every event that passes filters of Docker's
        API, from now on, or after a time in seconds.
        """
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def read(stream: Any) -> None:
            with suppress(Exception):  # however it ends, it is over; the loop may be so too
                for event in stream:
                    loop.call_soon_threadsafe(on_event, event)
            _release(stream)
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, over, None, None)

        def opened() -> Any:
            return self._client.ask(
                lambda api: api.events(since=after, filters=filters, decode=True)
            )

        try:
            async with asyncio.timeout(self.timeout):  # the SDK has none for this
                stream = await in_thread(opened, discard=_release)
        except TimeoutError:
            raise OutcomeUnknown(f"the Docker engine at {self.host} tells no events") from None
        threading.Thread(
            target=read, args=(stream,), daemon=True, name="events of the engine"
        ).start()
        return EngineEvents(over, lambda: _close(stream))

    async def ask(self, question: Callable[[Any], T]) -> T:
        """Ask a question of the SDK's low-level client, in a thread, when there is room for one
        more.
        """
        await self._room.acquire()  # until the thread has ended, whatever becomes of the caller
        return await in_thread(lambda: self._client.ask(question), ended=self._room.release)


async def in_thread(
    work: Callable[[], T],
    *,
    ended: Callable[[], None] = lambda: None,
    discard: Callable[[T], None] = lambda result: None,
) -> T:
    """Do blocking work in a thread that keeps no program from ending; ``ended`` is called in the
    loop when it is done.

    ``discard`` is called with a result that is not waited for any longer.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: Any, error: BaseException | None) -> None:
        ended()
        if done.done() and error is None:
            discard(result)
        _settle(done, result, error)

    def run() -> None:
        result, wrong = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  it belongs to the caller
            wrong = error
        with suppress(RuntimeError):  # the loop is closed: there is no caller
            loop.call_soon_threadsafe(tell, result, wrong)

    try:
        threading.Thread(target=run, daemon=True, name="question to the engine").start()
    except RuntimeError as error:  # no thread, no memory for one
        ended()
        raise PluginUnavailable(f"the Docker engine cannot be asked: {error}") from None
    return await done


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _document(said: Any) -> Row:
    if not isinstance(said, dict):
        raise ValueError("an object was expected")
    return said


def _rows(listed: Any) -> list[Row]:
    """Look over a list of containers; raises ValueError where it cannot be true.

    >>> _rows([{"Id": "a", "State": "running"}, {"Id": "a", "State": "running"}])
    [{'Id': 'a', 'State': 'running'}]
    """
    if not isinstance(listed, list):
        raise ValueError("a list of containers was expected")
    rows: dict[str, Row] = {}
    for row in listed:
        if not (
            isinstance(row, dict)
            and isinstance(row.get("Id"), str)
            and isinstance(row.get("State"), str)
        ):
            raise ValueError("a container without an Id or a State is listed")
        if rows.setdefault(row["Id"], row)["State"] != row["State"]:
            raise ValueError(
                f"container {row['Id'][:12]} is listed as {rows[row['Id']]['State']} and as "
                f"{row['State']}"
            )
    return list(rows.values())


def _unless_gone(question: Callable[[], T]) -> T | None:
    """Ask about a container that may be gone, or not run any longer."""
    from docker.errors import APIError

    try:
        return question()
    except APIError as error:
        if error.status_code in (404, 409):
            return None
        raise


def _close(stream: Any) -> None:
    """Interrupt the reader of a stream."""
    with suppress(Exception):  # an SSH connection cannot be interrupted
        stream.close()


def _release(stream: Any) -> None:
    """Close a stream that is not read: the SDK's own way of closing one leaves the connection to
    the garbage collector.
    """
    _close(stream)
    with suppress(Exception):
        stream._response.close()
