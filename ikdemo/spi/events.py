"""Facts that a plugin emits, and the answer to a long poll for them.

Plugins make ``Event`` values and hand them to the ``Emit`` callable they were started with; the
ring behind it (``rpc.event_ring``) stamps the time. Kinds by plugin: instance: provisioned,
destroyed, lost, changed, reported; flavor: health; group: committed, freed, destroying, gone,
planned, acted, converged, drifted, halted, resumed, paused; manager: elected,
stepped-down; fault injection: fault,
mended.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET, UnsetType

from .documents import Count, Document, Moment, Name, SlotName


# thousands of them; nothing in one can lead back to it
class Event(Document, frozen=True, gc=False):
    """One fact. ``time`` is seconds since the epoch, stamped by the ring; members that do not apply
    are empty.

    ``size`` is the number of slots wanted (group events), ``code`` a reason code, ``text`` the fact
    in words.
    """

    kind: str
    time: Moment = 0.0
    plugin: str = ""
    group: str = ""
    instance: Name = ""
    slot: SlotName = ""
    code: str = ""
    text: str = ""
    size: Count | UnsetType = UNSET
    tags: dict[str, str] | None = None


Emit = Callable[[Event], None]
"""What a plugin is started with; it never blocks and never fails."""


class Cursor(Document, frozen=True):
    """A place in one process's stream of events; another ``stream`` means that the process was
    restarted.
    """

    stream: str = ""
    next: Count = 0


class EventBatch(Document, frozen=True):
    """Events since a cursor, oldest first. ``gap``: some were missed (or the stream is new), so
    describe again.
    """

    stream: str
    next: Count
    events: list[Event]
    gap: bool = False


def news(batch: EventBatch, position: Cursor) -> list[Event]:
    """Return the events of a batch that come after ``position``; all of them where the stream is
    another one.

    >>> batch = EventBatch(
    ...     "s", 12, [Event("lost", instance="i-1"), Event("lost", instance="i-2")], gap=True
    ... )
    >>> (
    ...     [event.instance for event in news(batch, Cursor("s", 11))],
    ...     len(news(batch, Cursor("other", 99))),
    ... )
    (['i-2'], 2)
    """
    if batch.stream != position.stream:
        return batch.events
    return batch.events[max(0, position.next - (batch.next - len(batch.events))) :]
