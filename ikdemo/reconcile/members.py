"""Which of the instances that a plugin describes are a group's own, and what each of them is: the
one reader of descriptions.

Membership is the group tag alone. An instance that was provisioned here, or was a member once, is
known by its ID from then on: its slot, its logical ID and its configuration stay what they are,
whatever a later description says. A description that can be read in two ways is doubt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from ..spi.documents import GROUP_TAG, SHA_TAG, Description
from ..spi.plans import ObservedInstance, Outcome
from .model import Anomaly, Expected, Observation

LONGEST_QUOTE = 60
"""Characters of a tag or a slot that a sentence shows."""
MOST_GONE = 1000
"""Instances that are remembered, beyond those described, in case a description left them out.
"""


class DescriptionSource(NamedTuple):
    """The plugin that descriptions come from: its name, and which extensions it offers."""

    plugin: str
    slots: bool = False
    filters: bool = False


class Members:
    """What is known of a group's instances by their ID; ``known`` is what another process stored.
    ``version`` grows with every change.
    """

    def __init__(self, group: str, known: Mapping[str, ObservedInstance] | None = None) -> None:
        self._group = group
        self._known = dict(known or {})
        self._ended: set[str] = set()
        self.version = 0

    @property
    def known(self) -> Mapping[str, ObservedInstance]:
        """What is known, to be stored; do not change it."""
        return self._known

    def read(
        self,
        described: Iterable[Description],
        source: DescriptionSource,
        expected: Mapping[str, Expected],
    ) -> tuple[Observation, Sequence[Description]]:
        """Return what was observed, every health unknown, and the descriptions of the members, in
        the same order.

        An instance that is not known fulfils the oldest of ``expected`` that it fits. Nothing is
        remembered yet.
        """
        kept, anomalies, doubt = self._select(described, source)
        if doubt:
            return Observation(error=doubt), []
        seen = list[ObservedInstance]()
        new = list[str]()
        expectations = _Expectations({} if source.slots else expected)
        for one in kept:
            known = self._known.get(one.id)
            if known is None:
                known = expectations.match(_described(one, source))
                new.append(known.id)
            elif not _agrees(one, known, source):  # as mostly it does, of thousands
                known, text = _merged(known, _described(one, source), source)
                if text:
                    anomalies.append(Anomaly(one.id, text))
            seen.append(known)
        return Observation(
            tuple(seen), "", tuple(anomalies), frozenset(new), frozenset(expectations.fulfilled)
        ), kept

    def record_observation(self, observed: Observation) -> None:
        """Remember what was observed."""
        if observed.error:
            return
        for seen in observed.instances:
            known = self._known.get(seen.id)
            if known is None or (known.logical_id, known.slot, known.sha) != (
                seen.logical_id,
                seen.slot,
                seen.sha,
            ):
                self._known[seen.id] = ObservedInstance(
                    seen.id, seen.logical_id, seen.slot, seen.sha
                )
                self.version += 1
        if len(self._known) > 2 * len(observed.instances) + MOST_GONE:
            present = {seen.id for seen in observed.instances}
            gone = [instance for instance in self._known if instance not in present]
            for instance in gone[: len(gone) - MOST_GONE]:
                self._known.pop(instance)
            self._ended &= self._known.keys()

    def record_outcomes(self, outcomes: Iterable[Outcome], sha: str) -> None:
        """Remember what was provisioned, of configuration ``sha``, and what was destroyed."""
        for outcome in outcomes:
            action = outcome.action
            if outcome.error:
                continue
            if action.verb == "destroy":
                self._ended.add(action.instance)
            else:
                created = ObservedInstance(
                    outcome.instance, action.logical_id, action.slot or None, action.sha or sha
                )
                # an ID that is used again
                if outcome.instance in self._ended or outcome.instance not in self._known:
                    self._known[outcome.instance] = created
                    self.version += 1
                    self._ended.discard(outcome.instance)

    def _select(
        self, described: Iterable[Description], source: DescriptionSource
    ) -> tuple[list[Description], list[Anomaly], str]:
        """Return the members, each once, anomalies, and what is doubtful, if anything is."""
        listed: dict[str, Description] = {}
        kept: list[Description] = []
        nameless = 0
        for one in described:
            tag = (one.tags or {}).get(GROUP_TAG)
            if not one.id:
                nameless += tag == self._group
                continue
            if one.id in listed:
                if _differs(listed[one.id], one, source):
                    return (
                        [],
                        [],
                        f"plugin {source.plugin} lists instance {one.id} twice, and not alike",
                    )
                continue
            listed[one.id] = one
            if tag == self._group or (tag is None and source.filters):
                kept.append(one)
            elif one.id in self._known and one.id not in self._ended:
                if tag is None:
                    text = (
                        f"plugin {source.plugin} describes instance {one.id}, a member of "
                        "the group, without the group's tag"
                    )
                    return [], [], text
                if tag.casefold() == self._group.casefold():
                    kept.append(one)
        text = (
            f"plugin {source.plugin} describes {nameless} instances of the group without an "
            "ID; they are left alone"
        )
        return kept, [Anomaly("", text)] if nameless else [], ""


def _described(one: Description, source: DescriptionSource) -> ObservedInstance:
    """Return an instance as its description says; an empty text says nothing."""
    slot = (one.slot or None) if source.slots else None
    return ObservedInstance(
        one.id, one.logical_id or None, slot, (one.tags or {}).get(SHA_TAG) or None
    )


def _agrees(one: Description, known: ObservedInstance, source: DescriptionSource) -> bool:
    """Say whether a description agrees with what is known, as far as the plugin can say it."""
    if one.logical_id != known.logical_id or (source.slots and one.slot != known.slot):
        return False
    return one.tags is not None and one.tags.get(SHA_TAG) == known.sha


def _differs(one: Description, other: Description, source: DescriptionSource) -> bool:
    return _described(one, source) != _described(other, source) or (one.tags or {}) != (
        other.tags or {}
    )


def _merged(
    known: ObservedInstance, said: ObservedInstance, source: DescriptionSource
) -> tuple[ObservedInstance, str]:
    """Return an instance as it is known, completed by what a description says, and a sentence about
    what the description says otherwise.

    What a description does not say contradicts nothing.
    """
    names = ("slot", "logical ID", "config_sha")
    was, says = (known.slot, known.logical_id, known.sha), (said.slot, said.logical_id, said.sha)
    pairs = zip(names, was, says, strict=True)
    other = [
        f"{name} {_quoted(new)} instead of {_quoted(old)}"
        for name, old, new in pairs
        if old and new and old != new
    ]
    slot, logical_id, sha = (old or new for old, new in zip(was, says, strict=True))
    text = (
        f"plugin {source.plugin} describes instance {known.id} with {' and '.join(other)}, "
        "which changes nothing"
    )
    return ObservedInstance(known.id, logical_id, slot, sha), text if other else ""


def _quoted(text: str) -> str:
    return repr(text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "...")


class _Expectations:
    """Expected instances that may be among the descriptions, the oldest first, found by what a
    description says.
    """

    def __init__(self, expected: Mapping[str, Expected]) -> None:
        self.fulfilled: set[str] = set()
        self._expected = expected
        self._queues: dict[tuple[str | None, str | None], deque[str]] = {}
        for slot in sorted(
            expected, key=lambda slot: (expected[slot].instance != "", expected[slot].until)
        ):
            one = expected[slot]
            # a description need not say either
            for key in product((None, one.sha.casefold()), {None, one.logical_id}):
                self._queues.setdefault(key, deque()).append(slot)

    def match(self, said: ObservedInstance) -> ObservedInstance:
        """Return a new instance as the oldest expected one that it fits, which is fulfilled then,
        or else as described.

        Tags that are spelt in another letter case are the same tags.
        """
        queue = self._queues.get((said.sha.casefold() if said.sha else None, said.logical_id), ())
        while queue:
            slot = queue.popleft()
            if slot not in self.fulfilled:
                self.fulfilled.add(slot)
                return ObservedInstance(
                    said.id, self._expected[slot].logical_id, slot, self._expected[slot].sha
                )
        return said
