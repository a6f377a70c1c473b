"""The services, tasks and nodes of a swarm, asked through one of its managing engines, and services
that are changed only as long as nobody else has changed them.

Several engines may be named; one that is silent, or has no majority behind it, makes room for the
next. What counts as doubt is decided here: silence, an answer that makes no sense, a swarm without
a leader. All of it is an error, and none of it means that something is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ..spi.errors import OutcomeUnknown, PluginFailure, PluginUnavailable, VersionConflict
from .calls import Engine, EngineEvents, Row
from .engine_client import EngineAddress
from .swarm import DEADLINE, OUT_OF_SEQUENCE

T = TypeVar("T")
WITHOUT_LEADER = (
    "does not have a leader",
    "deadline exceeded",
    "code = Unavailable",
    "not a swarm manager",
)
"""What an engine says whose swarm cannot be asked now; what was sent may have been done."""
EVENTS = {"type": ["container", "service", "node"]}
"""Events that are followed: an engine tells of its own containers, a managing one of the swarm's
services and nodes, too."""


class Service(NamedTuple):
    """A service as the swarm has it: its ID, the number of its version, which each change raises,
    and its ``spec`` as Docker's API describes it, unknown members included.
    """

    id: str
    version: int
    spec: Row

    @property
    def name(self) -> str:
        return str(self.spec.get("Name", ""))

    @property
    def labels(self) -> Mapping[str, str]:
        return self.spec.get("Labels") or {}

    @property
    def container(self) -> Row:
        """What its tasks are made of."""
        return (self.spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}

    @property
    def replicas(self) -> int:
        """How many tasks it is to have; -1 for a service that is not replicated."""
        replicated = (self.spec.get("Mode") or {}).get("Replicated")
        return -1 if replicated is None else int(replicated.get("Replicas") or 0)


class Services:
    """The services of one swarm, for one event loop. ``hosts``: its managing engines; none means
    the one that Docker's own command finds. ``deadline``: seconds for a call.
    """

    def __init__(self, hosts: Sequence[EngineAddress] = (), deadline: float = DEADLINE) -> None:
        """Find out where the engines are, without asking them; raises IkdemoError when that cannot
        be told.
        """
        self._engines = [Engine(deadline, host) for host in hosts] or [Engine(deadline)]
        self._now = 0

    @property
    def engine(self) -> Engine:
        """The engine that is asked now."""
        return self._engines[self._now % len(self._engines)]

    def disconnect(self) -> None:
        """Let go of all connections."""
        for engine in self._engines:
            engine.disconnect()

    async def services(self, **filters: Sequence[str]) -> list[Service]:
        """List the services that pass filters of Docker's API, all as they were at one moment."""
        return await self._look(lambda api: _services(api.services(filters=_listed(filters))))

    async def tasks(self, **filters: Sequence[str]) -> list[Row]:
        """List tasks that pass filters of Docker's API."""
        return await self._look(lambda api: _tasks(api.tasks(filters=_listed(filters))))

    async def tasks_of(self, service: str) -> list[Row]:
        """List all tasks of one service, those that ended lately included; none if it is gone."""
        return await self._look(lambda api: _tasks(_tasks_of(api, service)))

    async def nodes(self) -> dict[str, Row]:
        """Return the nodes of the swarm by their IDs."""
        return await self._look(lambda api: {str(row["ID"]): row for row in _rows(api.nodes())})

    async def create(self, spec: Row) -> None:
        """Create a service as Docker's API describes one; raises VersionConflict when there is one
        of that name.
        """
        await self._ask(lambda api: _guarded(lambda: _create(api, spec), 409))

    async def update(self, service: Service, spec: Row) -> None:
        """Change a service that was read; a majority of the managing nodes has stored it when this
        returns.

        Raises VersionConflict when it has changed since it was read, or is gone.
        """
        await self._ask(lambda api: _guarded(lambda: _update(api, service, spec), 404))

    async def remove(self, service: Service) -> None:
        """Remove a service, by its ID; one that is gone is no error."""
        try:
            await self._ask(lambda api: _guarded(lambda: api.remove_service(service.id), 404))
        except VersionConflict:
            return

    async def task_logs(self, task: str, lines: int = 0) -> bytes:
        """Return the last lines that a task printed, all that is kept for 0."""
        return await self._look(lambda api: _task_logs(api, task, lines))

    async def follow(self, on_event: Callable[[Row], None]) -> EngineEvents:
        """Have ``on_event`` called in this loop for the ``EVENTS`` of the engine that is asked
        now.
        """
        return await self.engine.follow_events(EVENTS, None, on_event)

    async def _look(self, question: Callable[[Any], T]) -> T:
        """Ask what changes nothing: the next engine, if one cannot say."""
        for _ in self._engines[1:]:
            try:
                return await self._ask(question)
            except (OutcomeUnknown, PluginUnavailable):
                continue
        return await self._ask(question)

    async def _ask(self, question: Callable[[Any], T]) -> T:
        engine, asked = self.engine, self._now
        try:
            async with asyncio.timeout(engine.timeout):  # the SDK's is for each byte
                return await engine.ask(question)
        except TimeoutError:
            error: Exception = OutcomeUnknown(
                f"the Docker engine at {engine.host} went silent: no answer within "
                f"{engine.timeout:g} s"
            )
        except (OutcomeUnknown, PluginUnavailable) as silence:
            error = silence
        except PluginFailure as refusal:
            if not any(part in str(refusal) for part in WITHOUT_LEADER):
                raise
            error = OutcomeUnknown(f"the swarm of {engine.host} cannot be asked: {refusal}")
        if self._now == asked:
            self._now += 1
        raise error from None


def _listed(filters: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name.replace("_", "-"): list(texts) for name, texts in filters.items()}


def _create(api: Any, spec: Row) -> None:
    api._result(api._post_json(api._url("/services/create"), data=spec, headers=_trust(api, spec)))


def _update(api: Any, service: Service, spec: Row) -> None:
    url = api._url("/services/{0}/update", service.id)
    sent = {"params": {"version": service.version}, "headers": _trust(api, spec)}
    api._result(api._post_json(url, data=spec, **sent))


def _trust(api: Any, spec: Row) -> dict[str, str]:
    """Return the header by which nodes may pull an image from a registry that was logged in to."""
    from docker import auth

    image = spec["TaskTemplate"]["ContainerSpec"]["Image"]
    registry, _ = auth.resolve_repository_name(image)
    config = auth.get_config_header(api, registry)
    return {"X-Registry-Auth": config} if config else {}


def _tasks_of(api: Any, service: str) -> Any:
    from docker.errors import NotFound

    try:
        return api.tasks(filters={"service": [service]})
    except NotFound:
        return []


def _task_logs(api: Any, task: str, lines: int) -> bytes:
    wanted = {"stdout": 1, "stderr": 1, "tail": lines or "all"}
    response = api._get(api._url("/tasks/{0}/logs", task), params=wanted, stream=True)
    return bytes(api._get_result_tty(False, response, False))


def _guarded(change: Callable[[], T], conflict: int) -> T:
    """Make a change; raises VersionConflict when the engine says, with this status or in words,
    that what was read is not so any longer.
    """
    from docker.errors import APIError

    try:
        return change()
    except APIError as error:
        said = error.explanation or str(error)
        if OUT_OF_SEQUENCE in said or error.status_code == conflict:
            raise VersionConflict(f"it was changed by another one meanwhile: {said}") from None
        raise


def _rows(listed: Any) -> list[Row]:
    if not (isinstance(listed, list) and all(isinstance(row, dict) for row in listed)):
        raise ValueError("a list of objects was expected")
    return listed


def _services(listed: Any) -> list[Service]:
    """Read a list of services; raises ValueError where it makes no sense.

    >>> [one] = _services([{"ID": "s", "Version": {"Index": 7}, "Spec": {"Name": "web"}}])
    >>> one.version, one.name, one.replicas
    (7, 'web', -1)
    """
    made = [Service(row["ID"], row["Version"]["Index"], row["Spec"]) for row in _rows(listed)]
    for one in made:
        if not (
            isinstance(one.id, str)
            and isinstance(one.version, int)
            and isinstance(one.spec.get("Name"), str)
        ):
            raise ValueError("a service without an ID, a version or a name is listed")
    if len({one.id for one in made}) < len(made):
        raise ValueError("a service is listed twice")
    return made


def _tasks(listed: Any) -> list[Row]:
    rows = _rows(listed)
    for row in rows:
        texts = (row["ID"], row["ServiceID"], row["DesiredState"], row["Status"]["State"])
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a task without an ID, a service or a state is listed")
    if len({row["ID"] for row in rows}) < len(rows):
        raise ValueError("a task is listed twice")
    return rows
