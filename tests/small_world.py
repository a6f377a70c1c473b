"""A world of few slots in which everything that can happen is tried: instances, requests under way,
memory, time, and the rules.

One state leads to others by a pass over an observation that may be wrong, by requests that fail or
come late, by losses, failed health checks and commits.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import structs

from ikdemo.reconcile.backoff import ALLOWANCE
from ikdemo.reconcile.desired import Desired, Pace, slots_of
from ikdemo.reconcile.expectations import expect
from ikdemo.reconcile.model import Memory, Observation
from ikdemo.reconcile.plan import plan
from ikdemo.reconcile.settle import settle, with_backoffs
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.plans import ObservedInstance, Outcome, Plan

WAIT = 130.0
"""Seconds after which every back-off, expectation and wait for readiness is over; a pass follows
the one before at once, or after so many.
"""
UNHEALTHY_AFTER = 2
MENDED_BY_PEOPLE = {"too-many-sick", "halted", "unhealthy", "outdated", "health-unknown"}
"""What may be left for a person where instances are unhealthy."""


class One(NamedTuple):
    """An instance. ``ill``: 0 is healthy, otherwise 1 and the observations that showed it
    unhealthy. ``fresh``: created since the last wait.
    """

    id: str
    slot: str | None
    sha: str
    ill: int = 0
    fresh: bool = True
    hidden: bool = False


class Request(NamedTuple):
    """A request that is carried out later than its answer was awaited; ``again``: it will arrive
    once more after that.
    """

    verb: str
    slot: str
    instance: str
    sha: str
    again: bool = False


class State(NamedTuple):
    """What is wanted, what lives, what was seen last, what is under way, what is remembered, and
    how many faults may still come.

    ``failed``: slots and instances of requests that failed since the last wait or wrong
    observation; they have to be left alone until the next. ``struck``: the slots of instances
    created and lost since the last wait, each as often as it lost one.
    """

    size: int
    sha: str
    good: str
    faults: int
    memory: Memory
    living: tuple[One, ...] = ()
    before: tuple[One, ...] = ()
    late: tuple[Request, ...] = ()
    failed: tuple[str, ...] = ()
    struck: tuple[str, ...] = ()


class World(NamedTuple):
    """The kind of a world: slots at most, faults (of all kinds, or losses alone), and whether its
    plugin knows slots.
    """

    most: int
    faults: int
    has_slots: bool = True
    only_losses: bool = False

    def wanted(self, state: State) -> Desired:
        """Return what the group should be."""
        slots, pace = slots_of(Allocation(state.size)), Pace(duration=5.0)
        good = state.good if state.good != state.sha else ""
        return Desired(
            "g",
            state.sha,
            slots,
            idempotent=self.has_slots,
            unhealthy_after=UNHEALTHY_AFTER,
            pace=pace,
            good=good,
        )

    def carry_out(
        self, living: tuple[One, ...], request: Request, new: str
    ) -> tuple[tuple[One, ...], str]:
        """Return who lives after a request, and the ID answered: ``new``, or where a slot is taken,
        that of who sits there.
        """
        if request.verb == "destroy":
            return tuple(one for one in living if one.id != request.instance), request.instance
        if self.has_slots:
            for one in living:
                if one.slot == request.slot:
                    return living, one.id
        created = One(new, request.slot if self.has_slots else None, request.sha)
        return (*living, created), created.id

    def views(self, state: State, truth: tuple[One, ...]) -> Iterator[tuple[tuple[One, ...], int]]:
        """Yield what may be seen, and how many faults that takes: the truth, all but one, nothing,
        what was seen before.
        """
        yield tuple(one for one in truth if not one.hidden), 0
        # without slots, a view that lies leads to one too many, whatever the planner does
        if self.has_slots and not self.only_losses:
            yield from ((tuple(one for one in truth if one != missing), 1) for missing in truth)
            yield (), 1
            yield state.before, 1

    def passes(self, state: State) -> Iterator[State]:
        """Yield every state that one pass can lead to."""
        truth, late = land(self, state)
        for seen, cost in self.views(state, truth):
            if cost <= state.faults:
                yield from self.acts(
                    state._replace(living=truth, late=late, faults=state.faults - cost),
                    seen,
                    truthful=not cost,
                )
        if state.late and self.has_slots:  # the look came before what was under way
            for after in self.acts(state._replace(late=()), state.living, truthful=False):
                living, again = land(self, after._replace(late=state.late))
                yield after._replace(living=living, late=(*after.late, *again))

    def acts(self, state: State, seen: tuple[One, ...], *, truthful: bool) -> Iterator[State]:
        """Yield the states after the plan for a view was carried out, with no request failing or
        with one.
        """
        seen = tuple(
            one._replace(ill=one.ill and min(one.ill + 1, UNHEALTHY_AFTER + 1)) for one in seen
        )
        ill = {one.id: one.ill for one in seen}
        state = state._replace(
            living=tuple(one._replace(ill=max(one.ill, ill.get(one.id, 0))) for one in state.living)
        )
        group, view = self.wanted(state), observation(seen)
        self.check_doubt(state, group, view)
        todo = plan(group, view, state.memory, 0.0)
        self.check(state, todo, seen, truthful=truthful)
        good = state.sha if todo.converged else state.good
        state = state._replace(
            good=good, before=seen, memory=expect(group, state.memory, todo.actions, 0.0)
        )
        if not truthful:  # what the view does not show may be forgotten
            state = state._replace(failed=())
        requests = [
            Request(action.verb, action.slot, action.instance, action.sha or state.sha)
            for action in todo.actions
        ]
        for fails in (
            [None, *range(len(requests))] if state.faults and not self.only_losses else [None]
        ):
            failures = (
                ("refused", "late", "twice", "unanswered")
                if self.has_slots
                else ("refused", "hidden")
            )
            kinds = ("",) if fails is None else failures
            for kind in kinds:
                living, late, failed, outcomes = state.living, state.late, set(state.failed), []
                for number, (action, request) in enumerate(
                    zip(todo.actions, requests, strict=True)
                ):
                    key = action.slot if action.verb == "provision" else action.instance
                    how = kind if number == fails else ""
                    answer = ""
                    if how in ("late", "twice"):
                        late = (*late, request._replace(again=how == "twice"))
                    elif how != "refused":
                        living, answer = self.carry_out(living, request, unused(state, number))
                    if how == "hidden":
                        living = tuple(
                            one._replace(hidden=one.id == answer or one.hidden) for one in living
                        )
                    if how:
                        failed.add(key)
                        outcomes.append(Outcome(action, error="failed", unknown=how != "refused"))
                    else:
                        failed.discard(key)
                        outcomes.append(Outcome(action, answer))
                memory = settle(group, view, state.memory, todo, outcomes, 0.0)
                after = state._replace(
                    living=living,
                    late=late,
                    failed=tuple(sorted(failed)),
                    memory=memory,
                    faults=state.faults - bool(kind),
                )
                yield after
                yield self.later(after)

    def later(self, state: State) -> State:
        """Let the time of every wait go by; what a plugin without slots made shows itself before
        that.
        """
        living = tuple(one._replace(fresh=False, hidden=False) for one in state.living)
        return state._replace(
            living=living, memory=shifted(state.memory, WAIT), failed=(), struck=()
        )

    def events(self, state: State) -> Iterator[State]:
        """Yield what may happen from outside: a loss, an illness, another configuration, another
        size.
        """
        if not state.faults:
            return
        fewer = state._replace(faults=state.faults - 1)
        for number, one in enumerate(state.living):
            others = state.living[:number] + state.living[number + 1 :]
            struck = tuple(sorted([*state.struck, one.slot or ""])) if one.fresh else state.struck
            yield fewer._replace(living=others, struck=struck)
            if not (one.ill or self.only_losses):
                yield fewer._replace(
                    living=(
                        *state.living[:number],
                        one._replace(ill=1),
                        *state.living[number + 1 :],
                    )
                )
        if self.only_losses:
            return
        committed = fewer._replace(memory=with_backoffs(state.memory, {}), failed=(), struck=())
        yield committed._replace(sha="old" if state.sha == "new" else "new")
        yield from (
            committed._replace(size=size)
            for size in (state.size - 1, state.size + 1)
            if 0 < size <= self.most
        )

    def check(self, state: State, todo: Plan, seen: tuple[One, ...], *, truthful: bool) -> None:
        """Hold one plan to the promises."""
        said = (state, todo)
        here = {one.id: one for one in state.living}
        range_ = {str(number) for number in range(state.size)}
        created = [action.slot for action in todo.actions if action.verb == "provision"]
        destroyed = [
            (here[a.instance], a.code)
            for a in todo.actions
            if a.verb == "destroy" and a.instance in here
        ]
        assert set(created) <= range_ and len(set(created)) == len(created), said
        tried = [
            action.slot if action.verb == "provision" else action.instance
            for action in todo.actions
        ]
        assert not set(tried) & set(state.failed), ("tried again at once", *said)
        assert all(state.struck.count(slot) <= ALLOWANCE for slot in created), (
            "a storm is fed",
            *said,
        )
        for one, code in destroyed:
            current = one.sha == state.sha
            if one.ill:
                assert code != "unhealthy" or one.ill > UNHEALTHY_AFTER, (
                    "not ill often enough",
                    *said,
                )
            elif self.has_slots:
                assert not (current and one.slot in range_), (
                    "a healthy wanted one is ended",
                    *said,
                )
        assert len([one for one, code in destroyed if code == "unhealthy"]) <= 1, (
            "too many of the unhealthy are replaced",
            *said,
        )
        if not truthful:
            return
        under_way = len(
            {r.slot for r in state.late if r.verb == "provision"}
            - {one.slot for one in state.living}
        )
        before = len(state.living) + under_way
        assert not created or before + len(created) <= max(state.size, before), (
            "one too many",
            *said,
        )
        left = [one for one in state.living if one not in {one for one, _ in destroyed}]
        leaving = [one for one, code in destroyed if code == "outdated"]
        ill = [one for one, _ in destroyed if one.ill]
        assert len(left) + len(leaving) + len(ill) >= min(state.size, len(state.living)), (
            "too few are left",
            *said,
        )
        if leaving:
            assert len(leaving) == 1 and len(seen) >= state.size, (
                "an update goes on from an empty slot",
                *said,
            )
            newest = [one for one in seen if one.sha == state.sha]
            assert not any(one.fresh or one.ill for one in newest), (
                "an update goes on before what it made has lived",
                *said,
            )

    def check_doubt(self, state: State, group: Desired, view: Observation) -> None:
        """Hold what is done and remembered after a look that failed to the promise: nothing."""
        invalidate = structs.replace(view, error="no answer")
        todo = plan(group, invalidate, state.memory, 0.0)
        assert not todo.actions and not todo.converged, ("acts on doubt", state)
        after = settle(group, invalidate, state.memory, todo, [], 0.0)
        assert structs.replace(after, since={}) == structs.replace(state.memory, since={}), (
            "learns from doubt",
            state,
        )


def land(world: World, state: State) -> tuple[tuple[One, ...], tuple[Request, ...]]:
    """Return who lives once what was under way is carried out, and what of it comes again."""
    living = state.living
    for number, request in enumerate(state.late):
        living, _ = world.carry_out(living, request, unused(state, number))
    return living, tuple(request._replace(again=False) for request in state.late if request.again)


def unused(state: State, number: int) -> str:
    """Return an ID, one of several by number, that is neither in the world nor remembered."""
    known = [int(name[1:]) for name in NAME.findall(msgspec.json.encode(state))]
    return f"i{max([9, *known]) + 1 + number}"


def observation(seen: tuple[One, ...]) -> Observation:
    """Return a view as the planner gets it."""
    return Observation(
        tuple(
            ObservedInstance(
                o.id, None, o.slot, o.sha, Health.UNHEALTHY if o.ill else Health.HEALTHY
            )
            for o in seen
        )
    )


def shifted(memory: Memory, by: float) -> Memory:
    """Return the memory as it is after some seconds, when now is 0 again; what only words are made
    of is left out.
    """
    return structs.replace(
        memory,
        backoffs={
            k: structs.replace(t, not_before=max(0.0, t.not_before - by))
            for k, t in memory.backoffs.items()
        },
        created={
            slot: creation._replace(at=creation.at - by)
            for slot, creation in memory.created.items()
        },
        readiness={
            k: structs.replace(p, answers=1, since=max(p.since - by, -WAIT), latest=0.0)
            for k, p in memory.readiness.items()
        },
        expected={
            slot: structs.replace(one, until=max(0.0, one.until - by))
            for slot, one in memory.expected.items()
        },
        allowances={slot: until - by for slot, until in memory.allowances.items() if until > by},
        unhealthy={one: min(times, UNHEALTHY_AFTER) for one, times in memory.unhealthy.items()},
        destroyed={
            one: structs.replace(e, at=e.at - by, not_before=max(0.0, e.not_before - by))
            for one, e in memory.destroyed.items()
        },
        counted_at={},
        losses={},
        since={},
    )


NAME = re.compile(rb"\bi\d\d\b")
ENCODER, DECODER = msgspec.json.Encoder(order="deterministic"), msgspec.json.Decoder(State)


def canonical(state: State) -> bytes:
    """Return a state as text, its instances named anew in their order, so that equal states are
    equal texts.
    """
    text = ENCODER.encode(
        state._replace(memory=shifted(state.memory, 0.0), living=tuple(sorted(state.living)))
    )
    names = {old: b"i%d" % number for number, old in enumerate(sorted(set(NAME.findall(text))), 10)}
    return NAME.sub(lambda found: names[found[0]], text)


def search(world: World) -> int:
    """Try everything that can happen; return the number of states. AssertionError: a promise is
    broken.
    """
    start = canonical(State(world.most, "new", "", world.faults, Memory()))
    known, queue, whole = {start}, deque([start]), set[bytes]()
    while queue:
        text = queue.popleft()
        state = DECODER.decode(text)
        _check_becomes_whole(world, text, whole)
        for following in (*world.passes(state), *world.events(state)):
            assert (
                len({one.slot for one in following.living}) == len(following.living)
                or not world.has_slots
            ), following
            if (name := canonical(following)) not in known:
                known.add(name)
                queue.append(name)
    return len(known)


def _check_becomes_whole(world: World, text: bytes, whole: set[bytes]) -> None:
    """Let nothing more go wrong: the group becomes whole, or says what a person has to mend.
    ``whole``: of whom that is known.
    """
    state = DECODER.decode(text)._replace(faults=0)
    way = []
    for _ in range(12 * world.most + 6):
        name = canonical(state)
        if name in whole:
            break
        way.append(name)
        living, late = land(world, state)
        state = state._replace(living=living, late=late)
        group, view = (
            world.wanted(state),
            observation(tuple(one for one in living if not one.hidden)),
        )
        todo = plan(group, view, state.memory, 0.0)
        is_calm = not late and not any(one.hidden for one in living)
        is_well = todo.converged and not any(one.ill for one in living)
        if is_calm and not todo.actions and (is_well or _waits_for_people(state, todo)):
            break
        state = next(
            world.acts(state, tuple(one for one in living if not one.hidden), truthful=True)
        )
        state = DECODER.decode(canonical(world.later(state)))
    else:
        raise AssertionError(("does not become whole", DECODER.decode(text), state, todo))
    if way and canonical(state) not in whole and todo.converged:
        assert len(state.living) == state.size, state
        assert all(one.sha == state.sha for one in state.living), state
    whole.update(way)


def _waits_for_people(state: State, todo: Plan) -> bool:
    codes = {reason.code for reason in todo.reasons}
    ill = sum(one.ill > UNHEALTHY_AFTER for one in state.living)
    if "too-many-sick" in codes and ill <= 1:  # a single one is always replaced
        return False
    return bool(ill and codes) and codes <= MENDED_BY_PEOPLE
