"""Measures how soon lost containers are replaced: those of a group, of ``--restart=always``, and of
Swarm services.

Three faults, each to another container, a little apart. The time is from the end of one container
to the start of the next, both by the engine's own clock. What cannot be measured is taken
from a recording; every row says which.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ...engine.engine_client import EngineClient
from ...instance.container_labels import SLOT, TAG
from ...instance.docker.labels import OWNER
from ...spi.documents import GROUP_TAG
from ...spi.errors import IkdemoError
from ..faults.targets import DOCKER_COMMANDS
from ..show.tables import Table, say_seconds
from .baselines import RestartPolicyAlways, SwarmService, containers_of

Peer = RestartPolicyAlways | SwarmService
COMMAND = ["sh", "-c", "sleep 1000000 & wait"]
"""What the containers of peers run: a shell, which ends when its program is killed."""
APART = 0.6
"""Seconds between two faults, so that one is mostly healed when the next one comes."""
OF_AGE = 1.2
"""Seconds that a group has stood before the first fault: what dies in its first second is taken for
what cannot start.
"""
STARTING = 30.0
MIME = "application/vnd.ikdemo.compared+json"
"""The same table as JSON, for the recording."""
_TASK = "com.docker.swarm.task.name"


def _end_process(api: Any, name: str) -> None:
    """End every process of a container but its first, which ends then by itself; by the engine
    alone, wherever it is.
    """
    # the exec ends with the container, which the engine may call an error
    with suppress(Exception):
        api.exec_start(api.exec_create(name, ["sh", "-c", "kill -9 -1"])["Id"])


FAULTS: dict[str, Callable[[Any, str], object]] = {
    "process killed": _end_process,
    "docker kill": DOCKER_COMMANDS["kill"],
    "docker rm -f": DOCKER_COMMANDS["rm -f"],
}


class Healing(NamedTuple):
    """What one way of healing was seen to need, in seconds by fault; None for never within
    ``patience``.
    """

    who: str
    seconds: Mapping[str, float | None]
    patience: float
    measured: str = "live"


class Comparison(Table):
    """The ways of healing side by side, as measured."""

    def __init__(self, healings: Sequence[Healing]) -> None:
        self.healings = list(healings)
        rows = [
            (one.who, *(_said(one, fault) for fault in FAULTS), one.measured) for one in healings
        ]
        super().__init__(["who heals", *FAULTS, "measured"], rows)

    def as_recorded(self, day: str) -> Comparison:
        """Return the same figures, and that they were recorded on this day."""
        return Comparison([one._replace(measured=f"recorded on {day}") for one in self.healings])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {MIME: json.dumps([one._asdict() for one in self.healings])}


def _said(one: Healing, fault: str) -> str:
    seconds = one.seconds[fault]
    return f"not within {one.patience:g} s" if seconds is None else say_seconds(seconds)


def read(recorded: str) -> Comparison:
    """Read a comparison from the JSON that it shows itself as."""
    return Comparison([Healing(**one) for one in json.loads(recorded)])


class _StartsAndEnds:
    """Ends and starts of containers that carry labels, with the engine's time, by the slot or
    task that a container stands for.
    """

    def __init__(self, client: EngineClient, labels: Mapping[str, str]) -> None:
        self._changed = threading.Condition()
        self._told: list[tuple[str, str, str, float]] = []
        wanted = [f"{name}={text}" for name, text in labels.items()]
        filters = {"type": "container", "event": ["die", "start"], "label": wanted}
        self._stream = client.ask(lambda api: api.events(filters=filters, decode=True))
        threading.Thread(target=self._listen, daemon=True, name="ends and starts").start()

    def _listen(self) -> None:
        with suppress(Exception):  # however it ends, it was closed
            for event in self._stream:
                told = event["Actor"]["Attributes"]
                stands_for = (
                    told.get(SLOT)
                    or ".".join(told.get(_TASK, "").split(".")[:2])
                    or event["Actor"]["ID"]
                )
                with self._changed:
                    self._told.append(
                        (event["Action"], event["Actor"]["ID"], stands_for, event["timeNano"] / 1e9)
                    )
                    self._changed.notify_all()

    def healed(self, container: str, until: float) -> float | None:
        """Wait until what replaces a container has started; return the seconds between, None
        when the time is up.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._gap(container) is not None, max(0.0, until - time.monotonic())
            )
            return self._gap(container)

    def _gap(self, container: str) -> float | None:
        for index, (action, who, stands_for, ended) in enumerate(self._told):
            if (action, who) == ("die", container):
                later = (
                    told
                    for told in self._told[index + 1 :]
                    if told[0] == "start" and told[2] == stands_for
                )
                return next((at - ended for _, _, _, at in later), None)
        return None

    def close(self) -> None:
        with suppress(Exception):
            self._stream.close()


def of_group(
    client: EngineClient, group: str, instances: Sequence[str], patience: float
) -> Healing:
    """Measure a group of ours that is as wanted; its containers bear the names of their
    instances.
    """
    inside = [
        client.ask(lambda api: api.inspect_container(name))  # noqa: B023
        for name in instances[: len(FAULTS)]
    ]
    labels = (
        {OWNER: inside[0]["Config"]["Labels"][OWNER], f"{TAG}{GROUP_TAG}": group} if inside else {}
    )
    time.sleep(OF_AGE)
    return _break(client, "our group", labels, [one["Id"] for one in inside], patience)


def of_peer(client: EngineClient, peer: Peer, patience: float) -> Healing:
    """Measure one of Docker's ways with containers of its own, of which none is left."""
    try:
        client.ask(lambda api: peer.start(len(FAULTS)))
        until = time.monotonic() + STARTING
        while len(living := client.ask(lambda api: containers_of(api, peer.labels))) < len(FAULTS):
            if time.monotonic() > until:
                raise IkdemoError(f"{peer.who} did not start its containers within {STARTING:g} s")
            time.sleep(0.05)
        return _break(client, peer.who, peer.labels, living, patience)
    finally:
        client.ask(lambda api: peer.stop())


def _break(
    client: EngineClient,
    who: str,
    labels: Mapping[str, str],
    living: Sequence[str],
    patience: float,
) -> Healing:
    if len(living) < len(FAULTS):
        raise IkdemoError(
            f"{who} has {len(living)} containers, and {len(FAULTS)} are needed to compare"
        )
    heard, until = _StartsAndEnds(client, labels), dict[str, float]()
    try:
        for (fault, command), container in zip(FAULTS.items(), living, strict=False):
            if until:
                time.sleep(APART)
            client.ask(lambda api: command(api, container))  # noqa: B023
            until[fault] = time.monotonic() + patience
        seconds = {
            fault: heard.healed(container, until[fault])
            for fault, container in zip(FAULTS, living, strict=False)
        }
        return Healing(who, seconds, patience)
    finally:
        heard.close()
