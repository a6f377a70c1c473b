"""The time of a lab's record: a wall clock that is set, back or forth, rewrites nothing of what was
written down.
"""

from __future__ import annotations

import pytest

from ikdemo.lab.dashboard.group_history import GroupHistory
from ikdemo.lab.host.timeline import RecordClock, Timeline
from ikdemo.lab.show.recovery_report import Recovery
from ikdemo.spi.events import Event

GROUP = "web"


class Machine:
    """A machine with a clock that can be set, and a record that is kept on it."""

    def __init__(self) -> None:
        self.passed, self.set = 0.0, 1_000_000.0
        self.record = Timeline(RecordClock(lambda: self.passed + self.set, lambda: self.passed))

    def stamped(
        self, kind: str, plugin: str, instance: str = "", slot: str = "", **more: int
    ) -> Event:
        return Event(kind, self.passed + self.set, plugin, GROUP, instance, slot, **more)  # type: ignore[arg-type]

    def tell(self, *told: tuple[str, str, str, str]) -> None:
        """Write something down, a hundredth of a second after it was stamped."""
        events = [self.stamped(*one) for one in told]
        self.passed += 0.01
        self.record.add(events)

    def fall(self, old: str, new: str) -> None:
        """Lose two instances at once and make two others a quarter of a second later."""
        self.tell(*(("fault", "lab", f"{old}-{slot}", slot) for slot in "13"))
        self.tell(
            *(("lost", "files", f"{old}-{slot}", slot) for slot in "13"),
            ("planned", "group", "", ""),
        )
        self.passed += 0.23
        self.tell(
            *(("provisioned", "files", f"{new}-{slot}", slot) for slot in "13"),
            ("converged", "group", "", ""),
        )


def whole() -> Machine:
    machine = Machine()
    machine.record.add([machine.stamped("committed", "group", size=5)])
    machine.tell(
        *(("provisioned", "files", f"a-{slot}", slot) for slot in "01234"),
        ("converged", "group", "", ""),
    )
    machine.passed += 5.0
    return machine


@pytest.mark.parametrize("step", [-3600.0, -2.0, -0.3, 3600.0])
def test_a_step_of_the_clock_between_two_falls_changes_neither(step: float) -> None:
    machine = whole()
    machine.fall("a", "b")
    machine.set += step
    machine.fall("b", "c")
    machine.passed += 1.0
    events = machine.record.events(GROUP)
    recovery = Recovery(GROUP, events, machine.record.now())
    assert [(fall.fewest, round(fall.time_to_recover or 0, 6)) for fall in recovery.falls] == [
        (3, 0.25),
        (3, 0.25),
    ]
    assert [event.instance for event in events if event.kind == "provisioned"][-2:] == [
        "c-1",
        "c-3",
    ]
    assert machine.record.living(group=GROUP).keys() == {"a-0", "c-1", "a-2", "c-3", "a-4"}
    story = GroupHistory(GROUP)
    story.read(machine.record.since(0)[0])
    scene = story.model_at(machine.record.now())
    assert scene.fall is not None
    assert (scene.fall.fewest, round(scene.fall.seconds or 0, 6)) == (3, 0.25)


@pytest.mark.parametrize("step", [-3600.0, -2.0, 3600.0])
def test_a_step_in_the_middle_of_a_fall_does_not_make_it_longer_or_shorter(step: float) -> None:
    machine = whole()
    machine.tell(("fault", "lab", "a-1", "1"))
    late = machine.stamped("lost", "files", "a-1", "1")
    machine.set += step
    machine.passed += 0.01
    machine.record.add([late])  # stamped before the step, and told after it
    machine.passed += 0.48
    machine.tell(("provisioned", "files", "b-1", "1"))
    events = machine.record.events(GROUP)
    assert [event.kind for event in events][-3:] == ["fault", "lost", "provisioned"]
    (fall,) = Recovery(GROUP, events, machine.record.now()).falls
    assert fall.time_to_recover == pytest.approx(0.5)
    assert fall.loss == pytest.approx(0.1)


def test_times_are_those_of_the_stamps_while_nobody_sets_the_clock() -> None:
    machine = whole()
    assert machine.record.events(GROUP)[0].time == 1_000_000.0
    assert machine.record.now() == pytest.approx(1_000_000.0 + machine.passed)


def test_events_read_in_their_order_never_go_back() -> None:
    """A record that is given as it was written, with a clock that was set back in it, gets no fall
    that lasts an hour.
    """
    before = [
        Event("committed", 5000.0, group=GROUP, size=1),
        Event("provisioned", 5000.0, group=GROUP, instance="a", slot="0"),
    ]
    after = [
        Event("fault", 1400.0, group=GROUP, instance="a"),
        Event("provisioned", 1400.5, group=GROUP, instance="b", slot="0"),
    ]
    (fall,) = Recovery(GROUP, [*before, *after], 1402.0).falls
    assert (fall.began, fall.recovered, fall.fewest) == (5000.0, 5000.0, 0)
