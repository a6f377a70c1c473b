"""A record that is too long forgets, and still knows its groups: no answer is another one, but for
what was long ago.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ikdemo.lab import Lab, collabnix
from ikdemo.lab.dashboard.group_history import GroupHistory
from ikdemo.lab.dashboard.view_model import ViewModel
from ikdemo.lab.host import timeline
from ikdemo.lab.host.timeline import Timeline
from ikdemo.lab.show.recovery_report import Recovery
from ikdemo.reconcile.analysis.service import ASKED, SILENT, ServiceState
from ikdemo.spi.documents import SHA_TAG
from ikdemo.spi.events import Event

FULL = 60


class World:
    """A group that is broken at random and healed; what each turn tells, in its order of
    arrival.
    """

    def __init__(self, seed: int, group: str) -> None:
        self.chance, self.group, self.now, self.made = random.Random(seed), group, 100.0, 0
        self.living: dict[str, str] = {}
        self.backoffs: set[str] = set()
        self.size = 5

    def event(self, kind: str, instance: str = "", slot: str = "", **more: object) -> Event:
        self.now += self.chance.uniform(0.0, 0.2)
        who = "group" if not instance else "lab" if kind in ("fault", "mended") else "files"
        return Event(kind, self.now, who, self.group, instance, slot, **more)  # type: ignore[arg-type]

    def turns(self, count: int) -> Iterator[list[Event]]:
        yield self.commit(5)
        for _ in range(count):
            yield list(self.heal())
            self.now += 1  # each fall is one of its own
            turn = self.chance.choice(
                (self.lose, self.lose, self.lose, self.silence, self.fall_sick, self.scale)
            )
            yield list(turn())
        yield list(self.heal())

    def commit(self, size: int) -> list[Event]:
        self.size = size
        return [self.event("committed", size=size, tags={SHA_TAG: "a"})]

    def heal(self) -> Iterator[Event]:
        yield self.event("drifted")
        for name in list(self.backoffs & self.living.keys()):
            yield self.event("destroyed", name, self.living.pop(name))
        self.backoffs.clear()
        for slot in sorted(set(map(str, range(self.size))) - set(self.living.values())):
            self.made += 1
            self.living[f"i-{self.group}-{self.made}"] = slot
            yield self.event(
                "provisioned", f"i-{self.group}-{self.made}", slot, tags={SHA_TAG: "a"}
            )
        for name, slot in [
            (name, slot) for name, slot in self.living.items() if int(slot) >= self.size
        ]:
            del self.living[name]
            yield self.event("destroyed", name, slot)
        yield self.event("converged")

    def lose(self) -> Iterator[Event]:
        name = self.chance.choice(list(self.living))
        slot = self.living.pop(name)
        yield self.event("fault", name, slot, code=self.chance.choice(("gone", ASKED)))
        yield self.event("lost", name, slot)

    def silence(self) -> Iterator[Event]:
        name = self.chance.choice(list(self.living))
        self.backoffs.add(name)
        yield self.event("fault", name, self.living[name], code=SILENT)
        if self.chance.random() < 0.5:
            self.backoffs.discard(name)
            yield self.event("mended", name, self.living[name], code=SILENT)

    def fall_sick(self) -> Iterator[Event]:
        name = self.chance.choice(list(self.living))
        self.backoffs.add(name)
        yield self.event("health", name, code=self.chance.choice(("unhealthy", "healthy")))

    def scale(self) -> Iterator[Event]:
        yield from self.commit(self.chance.randint(2, 7))


def signs(scene: ViewModel) -> list[tuple[str, str]]:
    """Return what is said of each wanted slot; whether it ever had another instance is long ago."""
    said = {"new": "filled"}
    return [
        (lane.slot, said.get(lane.sign.word, lane.sign.word))
        for lane in scene.lanes
        if int(lane.slot) < scene.size
    ]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_asked_has_the_same_answer_as_if_nothing_was_forgotten(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, whole, stories = (
        Timeline(),
        dict[str, list[Event]](),
        [World(seed, "g"), World(seed + 1000, "h")],
    )
    monkeypatch.setattr(timeline, "FULL", FULL)
    for batches in zip(*(world.turns(100) for world in stories), strict=True):
        for batch in batches:
            record.add(batch)
            whole.setdefault(batch[0].group, []).extend(batch)
        assert len(record.events()) <= FULL * 2
    for group, told in whole.items():
        kept = record.events(group)
        assert len(kept) < len(told) / 2
        expected, found = ServiceState(), ServiceState()
        for event in told:
            expected.read(event)
        for event in kept:
            found.read(event)
        assert (found.size, found.sha, found.there) == (expected.size, expected.sha, expected.there)
        assert found.living == expected.living
        assert {name: found.failure(name) for name in found.living} == {
            name: expected.failure(name) for name in found.living
        }
        assert {name: event.time for name, event in record.living(group=group).items()} == {
            event.instance: event.time
            for event in told
            if event.kind == "provisioned" and event.instance in expected.living
        }
        full, now = (
            Recovery(group, told, told[-1].time + 1),
            Recovery(group, kept, told[-1].time + 1),
        )
        assert now.size == full.size
        last = next(event.time for event in record._events if event.group == group)
        assert [fall for fall in now.falls if fall.began > last] == [
            fall for fall in full.falls if fall.began > last
        ]
        seen, late = GroupHistory(group), GroupHistory(group)
        seen.read(told)
        late.read(record.since(0)[0])
        old, new = seen.model_at(told[-1].time), late.model_at(told[-1].time)
        assert (new.size, new.living, new.filled, new.surplus) == (
            old.size,
            old.living,
            old.filled,
            old.surplus,
        )
        assert signs(new) == signs(old)
        assert float(record.table(group, last=1).rows[0][0]) == pytest.approx(
            told[-1].time - told[0].time, abs=1e-3
        )


def test_a_fall_is_not_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is full in the middle of a fall: it forgets when the group is whole again."""
    monkeypatch.setattr(timeline, "FULL", FULL)
    record, world = Timeline(), World(1, "g")
    record.add(world.commit(5))
    record.add(list(world.heal()))
    while len(record) < FULL // 2 - 3:
        record.add([world.event("acted")])
    world.now += 9
    slot = world.living["i-g-1"]
    told = [
        world.event("fault", "i-g-1", slot),
        world.event("lost", "i-g-1", slot),
        world.event("drifted"),
    ]
    record.add(told)
    record.add([world.event("acted")] * 12)
    record.add([world.event("provisioned", "i-g-9", slot, tags={SHA_TAG: "a"})])
    for _ in range(FULL // 2 - 8):
        record.add([world.event("acted")])
    (fall,) = Recovery("g", record.events("g"), world.now + 9).falls
    assert fall.recovered is not None
    assert (fall.cause, fall.detected) == ("fault", told[-1].time)


def test_a_fall_that_outlasts_the_record_keeps_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The group is not healed: one is gone, one is silent, and everything else is forgotten."""
    monkeypatch.setattr(timeline, "FULL", FULL)
    record, world = Timeline(), World(1, "g")
    record.add(world.commit(5))
    record.add(list(world.heal()))
    world.now += 9
    lost, silent = world.living["i-g-1"], world.living["i-g-2"]
    told = [
        world.event("fault", "i-g-1", lost),
        world.event("lost", "i-g-1", lost),
        world.event("drifted"),
    ]
    record.add([*told, world.event("fault", "i-g-2", silent, code=SILENT)])
    for _ in range(3 * FULL):
        record.add([world.event("acted")])
    (fall,) = Recovery("g", record.events("g"), world.now).falls
    assert (fall.began, fall.cause, fall.fewest, fall.size, fall.recovered) == (
        told[0].time,
        "fault",
        3,
        5,
        None,
    )
    assert fall.loss == pytest.approx(0.4 * (world.now - told[0].time), rel=0.05)


def test_what_a_look_found_late_is_not_older_than_an_end_that_is_known() -> None:
    record = Timeline()
    record.add(
        [
            Event("provisioned", 1.0, "files", "g", "i", "0"),
            Event("lost", 5.0, "files", "g", "i", "0"),
        ]
    )
    record.add([Event("found", 4.0, "files", "g", "i", "0")])
    assert not record.living(group="g")


def test_after_thousands_of_events_a_lab_still_knows_its_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeline, "FULL", 400)
    with Lab() as lab:
        lab.start()
        lab.commit(collabnix(size=20))
        lab.wait("collabnix")
        for _ in range(9):
            lab.resume("collabnix")
            lab.kill("collabnix", 18)
            lab.wait("collabnix")
        assert len(lab.session.record) < 450 < lab.session.record.mark
        assert lab.check("collabnix", size=20, fell=True)
        assert "only 2 of 20 slots" in repr(lab.recovery("collabnix"))
        assert lab.watch("collabnix")._words.startswith(
            "Group collabnix: as wanted. 20 of 20 slots filled."
        )
