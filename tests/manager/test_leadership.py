"""Whether a manager leads, second by second: its term is over at the deadline, whatever the back
end does, and what is begun before ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from simulation.loop import SimulatedLoop

from ikdemo.manager.backend import Term
from ikdemo.manager.leadership import GRACE, Leadership
from ikdemo.spi.errors import CorruptState, NotLeader, OutcomeUnknown, PluginUnavailable

LEASE = 2.0


class LookingBackend:
    """Answers looks as ``answer`` says; a term lasts two seconds from the look."""

    name, interval, resigns = "fake", 0.5, False

    def __init__(self, world: Seconds) -> None:
        self.world = world
        self.answer: Callable[[], Awaitable[Term | None]] = self.confirm
        self.epoch = 1
        self.looks = 0

    async def look(self) -> Term | None:
        self.looks += 1
        return await self.answer()

    async def confirm(self) -> Term | None:
        return Term(self.epoch, self.world.now() + LEASE)

    async def other(self) -> Term | None:
        return None

    async def unreachable(self) -> Term | None:
        raise PluginUnavailable("no connection")

    async def corrupt(self) -> Term | None:
        raise CorruptState("the leader file is a folder")

    async def hang(self) -> Term | None:
        await asyncio.Event().wait()
        return None

    async def changed(self) -> None:
        await asyncio.Event().wait()


class Seconds:
    """Simulated seconds, and a suspend that the loop does not see."""

    def __init__(self) -> None:
        self.loop = SimulatedLoop(lambda: (0.0, 0.0))
        self.suspended = 0.0
        self.backend = LookingBackend(self)
        self.seen: list[tuple[float, int | None]] = []

    def now(self) -> float:
        return self.loop.time() + self.suspended

    def note(self) -> None:
        term = self.leadership.term
        epoch = term.epoch if term else None
        if not self.seen or self.seen[-1][1] != epoch:
            self.seen.append((self.now(), epoch))

    def run(self, play: Callable[[Seconds], Awaitable[None]]) -> None:
        async def played() -> None:
            self.leadership = Leadership(self.backend, self.note, self.now)  # type: ignore[arg-type]
            self.leadership.start()
            await asyncio.sleep(0.1)
            assert (await self.leadership.ensure()).epoch == 1
            await play(self)
            await self.leadership.stop()

        self.loop.run_until_complete(played())


@pytest.fixture
def world() -> Iterator[Seconds]:
    made = Seconds()
    yield made
    made.loop.close()


@pytest.mark.parametrize("failing", ["unreachable", "hang"])
def test_a_term_is_over_at_its_deadline_whatever_a_look_does(world: Seconds, failing: str) -> None:
    async def play(world: Seconds) -> None:
        world.backend.answer = getattr(world.backend, failing)
        until = world.leadership.term.until  # type: ignore[union-attr]
        while world.now() < until - 0.01:
            assert (await world.leadership.ensure()).epoch == 1
            await asyncio.sleep(0.005)
        await asyncio.sleep(until - world.now() + 0.001)
        with pytest.raises(NotLeader):
            await world.leadership.ensure()
        await asyncio.sleep(GRACE)
        ((_, first), (when, then)) = world.seen
        assert (first, then) == (1, None)
        assert when <= until + GRACE
        world.backend.answer, world.backend.epoch = world.backend.confirm, 2
        world.leadership.ask_soon()
        await asyncio.sleep(40.0)  # a look that hangs is given up
        assert (await world.leadership.ensure()).epoch == 2

    world.run(play)


def test_a_manager_that_was_suspended_asks_before_it_acts(world: Seconds) -> None:
    async def play(world: Seconds) -> None:
        acted: list[str] = []

        async def act() -> None:
            acted.append("acted")

        looks = world.backend.looks
        world.suspended += 3600.0
        await world.leadership.while_leading(1, act)
        assert world.backend.looks > looks
        world.suspended += 3600.0
        world.backend.answer = world.backend.other
        with pytest.raises(NotLeader):
            await world.leadership.while_leading(1, act)
        assert acted == ["acted"]

    world.run(play)


def test_what_cannot_be_mended_by_asking_again_ends_the_term_at_once(world: Seconds) -> None:
    async def play(world: Seconds) -> None:
        world.backend.answer = world.backend.corrupt
        await world.leadership.look()
        with pytest.raises(NotLeader):
            await world.leadership.ensure()
        assert "the leader file is a folder" in world.leadership.why

    world.run(play)


def test_what_was_begun_is_cut_off_when_leadership_is_lost(world: Seconds) -> None:
    async def play(world: Seconds) -> None:
        async def act() -> None:
            await asyncio.sleep(1000.0)

        begun = asyncio.ensure_future(world.leadership.while_leading(1, act))
        await asyncio.sleep(5.0)
        assert not begun.done()
        world.backend.answer = world.backend.other
        with pytest.raises(OutcomeUnknown, match="leadership was lost"):
            await begun
        assert world.now() < 6.0

    world.run(play)


def test_another_epoch_is_another_term(world: Seconds) -> None:
    async def play(world: Seconds) -> None:
        world.backend.epoch = 7
        await world.leadership.look()
        assert (await world.leadership.ensure()).epoch == 7
        acted: list[Any] = []

        async def act() -> None:
            acted.append(1)

        with pytest.raises(NotLeader):
            await world.leadership.while_leading(1, act)
        assert acted == []

    world.run(play)
