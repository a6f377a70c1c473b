"""An exhaustive search: every world of up to three slots, two configurations and three faults that can be reached at all.

In every state that is reached the size is kept and no slot is taken twice; from every state the group becomes whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from ikdemo.reconcile.plan import plan
from ikdemo.reconcile.settle import settle
from ikdemo.reconcile.world import Desired, Memory, Observation, slots_of
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.plans import Action, Outcome, Plan, Seen

FAULTS = 3
Living = tuple[tuple[str, str], ...]
"""Slot and configuration of everybody alive."""


class State(NamedTuple):
    """A world: what is wanted, who sits where (slot and configuration), a request still under way, and faults left."""

    size: int
    sha: str
    living: Living
    late: tuple[tuple[str, str, str], ...]
    faults: int


def wanted(state: State) -> Desired:
    return Desired("g", state.sha, slots_of(Allocation(state.size)))


def seen(living: Living) -> Observation:
    """Name instances after slot and configuration: there is at most one per slot, so the name is enough."""
    return Observation(tuple(Seen(f"{slot}-{sha}", None, slot, sha, Health.HEALTHY) for slot, sha in living))


def todo(state: State, observed: Observation) -> Plan:
    return plan(wanted(state), observed, Memory(), now=0.0)


def done(living: Living, verb: str, slot: str, sha: str) -> Living:
    """Carry out one action on the world; provisioning a taken slot changes nothing."""
    if verb == "destroy":
        return tuple(one for one in living if one != (slot, sha))
    return living if slot in dict(living) else tuple(sorted([*living, (slot, sha)]))


def request(state: State, action: Action) -> tuple[str, str, str]:
    """Return what is sent for an action: verb, slot, and the configuration made or destroyed."""
    return action.verb, action.slot, state.sha if action.verb == "provision" else action.instance.partition("-")[2]


def passes(state: State) -> Iterator[State]:
    """Yield every world that one pass can lead to, with no fault or with one."""
    truth = state.living
    for late in state.late:  # what was under way is carried out before or after the look
        truth = done(truth, *late)
    for living_seen, cost in [(state.living, 0), *views(truth)]:
        if cost <= state.faults:
            yield from acts(state, truth, living_seen, cost)


def views(truth: Living) -> Iterator[tuple[Living, int]]:
    """Yield what may be seen of a world: the truth, all but one, or (stale) nothing yet."""
    yield truth, 0
    for missing in truth:
        yield tuple(one for one in truth if one != missing), 1
    yield (), 1


def acts(state: State, truth: Living, living_seen: Living, cost: int) -> Iterator[State]:
    sent = [request(state, action) for action in todo(state, seen(living_seen)).actions]
    after = truth
    for one in sent:
        after = done(after, *one)
    yield state._replace(living=after, late=(), faults=state.faults - cost)
    if cost < state.faults:
        for number, one in enumerate(sent):  # one request is refused, or carried out only after the next look
            without = truth
            for other in sent[:number] + sent[number + 1 :]:
                without = done(without, *other)
            for late in ((), (one,)):
                yield state._replace(living=without, late=late, faults=state.faults - cost - 1)


def events(state: State) -> Iterator[State]:
    """Yield what may happen from outside: a loss, another configuration, another size."""
    if state.faults:
        for lost in state.living:
            yield state._replace(living=tuple(one for one in state.living if one != lost), faults=state.faults - 1)
        yield state._replace(sha="old" if state.sha == "new" else "new", faults=state.faults - 1)
        if state.size > 1:
            yield state._replace(size=state.size - 1, faults=state.faults - 1)


def check(state: State, limit: int) -> None:
    slots = [slot for slot, _ in state.living]
    assert len(slots) == len(set(slots)) <= limit, state
    quiet = state._replace(faults=0)
    for _ in range(3 * limit + 3):
        quiet = next(acts(quiet, _landed(quiet), _landed(quiet), 0))
    final = todo(quiet, seen(quiet.living))
    assert final.converged, (state, quiet, final)
    assert not final.actions


def _landed(state: State) -> Living:
    truth = state.living
    for late in state.late:
        truth = done(truth, *late)
    return truth


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_reachable_world_is_safe_and_becomes_whole(size: int) -> None:
    start = State(size, "new", (), (), FAULTS)
    known, queue = {start}, deque([start])
    while queue:
        state = queue.popleft()
        check(state, size)
        for following in (*passes(state), *events(state)):
            if following not in known:
                known.add(following)
                queue.append(following)
    print(f"{len(known)} worlds of {size} slots with up to {FAULTS} faults")
    assert len(known) > 30 * size


def test_the_search_would_notice_a_planner_that_counts() -> None:
    """Counting instances instead of filling slots exceeds the size in this very search: the check can fail."""
    partial = seen((("0", "new"),))
    outcome = Outcome(Action("provision", "missing", "0"), "x")
    assert settle(wanted(State(2, "new", (), (), 0)), partial, Memory(), Plan(), [outcome], 0.0).troubled == {}
    with pytest.raises(AssertionError):
        check(State(1, "new", (("0", "new"), ("1", "new")), (), 0), 1)
