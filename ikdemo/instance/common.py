"""What instance plugins of every kind decide alike: how they tell of an instance, who is in a slot,
what tags, amounts of memory and ports mean, and how those are set up whose instances outlive them.

``announce`` tells each fact once: as an event, and as a line of the log.
"""

from __future__ import annotations

import errno
import itertools
import logging
import re
import secrets
import signal
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import Raw

from .. import disk
from ..log_limit import LineLimit
from ..spi.contracts import Interface
from ..spi.documents import GROUP_TAG, NULL, SHA_TAG, Description, InstanceSpec
from ..spi.errors import PluginFailure, SpecError
from ..spi.events import Emit, Event
from ..spi.text import visible
from .fence import Fence

log = logging.getLogger(__name__)
limit = LineLimit(log)

PID_TAG = "pid"
"""Tag that holds the process of an instance that is one, for those who want to kill it; one that
its spec has stays.
"""
EARLY = 1.0
"""Seconds of life after which a signal from outside was surely sent by somebody, and is not a way
of failing to start.
"""
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SHOWN = 100
"""Characters of a text of a spec that a sentence repeats."""
PORTS = range(20000, 30000)
"""Ports given to instances; below those that the kernel lends to outgoing connections."""
_MEMORY = re.compile(r"([1-9]\d{0,11})([KMG]?)")
_FACTORS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
VERBS = {
    "provisioned": "Provisioned",
    "destroyed": "Destroyed",
    "lost": "Lost",
    "changed": "Changed",
}


def announce(emit: Emit, kind: str, instance: Description, text: str, code: str = "") -> None:
    """Emit an event of an instance, and log it, unless too many came before it.

    >>> announce(lambda event: print(event.kind), "lost", Description("instance-7"), "vanished")
    lost
    """
    tags, slot = instance.tags, instance.slot or ""
    group = (tags or {}).get(GROUP_TAG, "")
    event = Event(
        kind, group=group, instance=instance.id, slot=slot, code=code, text=text, tags=tags
    )
    emit(event)
    if limit.has_room(f"instances were {kind}"):
        log.info("%s", sentence(event))


def sentence(event: Event) -> str:
    r"""Say what became of an instance, in one line whatever its texts hold.

    >>> sentence(Event("lost", instance="instance-7", group="web", slot="3", text="gone"))
    'Lost instance-7 in slot 3 of group web: gone'
    >>> sentence(Event("provisioned", instance="instance-8", group="a\nb"))
    'Provisioned instance-8 of group a\\nb'
    """
    slot = f" in slot {event.slot}" if event.slot else ""
    group = f" of group {event.group}" if event.group else ""
    text = f": {event.text}" if event.text else ""
    return visible(f"{VERBS.get(event.kind, event.kind)} {event.instance}{slot}{group}{text}")


class ExitReason(NamedTuple):
    """How a leader ended. ``code``: "died" by itself, or "killed" from outside, which says nothing
    against its command.

    "early" where it may be either, as it was ended in its first second. "unknown" where another
    process reaped it, or none did; it lived on through a restart of the plugin, so its command
    can live.
    """

    code: str
    text: str


class LastingInstances:
    """Instances that go on when their plugin ends, and are known again by the next one; unless
    ``takes_along``, then a plugin that ends (but not one that is killed) ends them first.

    ``grace``: seconds between asking and killing. ``most``: how many may live.
    """

    interface: Interface = "Instance"
    offers = frozenset({"Slots", "Logs", "Fence"})

    def __init__(
        self,
        directory: Path | str,
        *,
        grace: float = 5.0,
        most: int = 100,
        takes_along: bool = False,
    ) -> None:
        self._path = Path(directory)
        self._grace, self._most, self._takes_along = grace, most, takes_along
        self._fence = Fence()


def check_given(properties: Raw) -> None:
    """Raise SpecError for the Properties of a request that has none, in the words of InfraKit."""
    if properties == NULL:
        raise SpecError("Request Properties must be set", path="$.Properties", expected="an object")


def check_id(instance: str) -> None:
    """Raise SpecError for an empty ID, which no instance has."""
    if not instance:
        raise SpecError(
            "the ID of an instance must not be empty",
            path="$.Instance",
            expected="an instance's ID",
        )


def occupant(
    instance: Description, slot: str, wanted: InstanceSpec, is_ending: bool = False
) -> str:
    """Return the ID of the instance that lives in a slot, if it is of the wanted configuration;
    raises PluginFailure if it is not, or is being ended.

    >>> occupant(Description("instance-7"), "0", InstanceSpec(tags={"infrakit.group": "web"}))
    'instance-7'
    """
    tags, expected = instance.tags or {}, wanted.tags or {}
    if is_ending or tags.get(SHA_TAG) != expected.get(SHA_TAG):
        group = expected.get(GROUP_TAG, "")
        raise PluginFailure(f"slot {slot} of group {group} is occupied by {instance.id}")
    return instance.id


def has_tags(mine: Mapping[str, str] | None, wanted: Mapping[str, str]) -> bool:
    """Say whether an instance carries all wanted tags; as in InfraKit, an empty wanted value
    matches a missing tag too.

    >>> has_tags({"tier": "web"}, {"tier": "web", "colour": ""}), has_tags(None, {"tier": "web"})
    (True, False)
    """
    return all((mine or {}).get(key, "") == value for key, value in wanted.items())


def memory_of(text: str, path: str = "$.Memory") -> int:
    """Return the bytes of an amount of memory, 0 for no limit; raises SpecError.

    >>> memory_of("64M"), memory_of("")
    (67108864, 0)
    """
    if not text:
        return 0
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise SpecError(
            f"{path}: expected an amount such as 64M or 1G, got {excerpt(text)!a}",
            path=path,
            expected="an amount such as 64M",
        )
    return int(found[1]) * _FACTORS[found[2]]


def free_port(taken: Collection[int]) -> int:
    """Return a TCP port of this machine on which nothing listens and that is not given away yet;
    raises PluginFailure.
    """
    begin = secrets.randbelow(len(PORTS))
    for port in itertools.chain(PORTS[begin:], PORTS[:begin]):
        if port not in taken and _is_free(port):
            return port
    raise PluginFailure(f"no port is free between {PORTS[0]} and {PORTS[-1]}")


def _is_free(port: int) -> bool:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise disk.refusal("look for", "a port that is free", error) from None
    return True


def excerpt(text: str) -> str:
    """Return a text of a spec as a sentence may hold it: of a bounded length, and nothing in it
    that is not seen as itself.
    """
    return visible(text if len(text) <= SHOWN else text[:SHOWN] + "...")
