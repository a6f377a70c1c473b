"""Slots of a swarm, filled and emptied by several plugins at once while requests are late or lost
and nodes fail: never two in a slot, nothing healthy ended, no older leader acts after a claim.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from profiles import PATIENCE, lived
from simulation.loop import SimulatedLoop
from simulation.swarm import (
    ACTING,
    NODES,
    SimulatedSwarmInstances,
    SwarmInSimulation,
    slots_of,
)

from ikdemo.spi.documents import Description, InstanceSpec
from ikdemo.spi.errors import Fenced, IkdemoError, OutcomeUnknown, PluginFailure

pytestmark = pytest.mark.timeout(PATIENCE)

SLOTS = ("0", "1", "2")
GROUP = {"infrakit.group": "g"}
EPOCHS = (7, 9)
"""Of the two leaders; each has a plugin of its own."""


class Turn(NamedTuple):
    """What happens after a while: to a slot, or to a node."""

    after: float
    what: str
    who: int
    where: int


turns = st.lists(
    st.builds(
        Turn,
        st.sampled_from([0.0, 0.0, 0.02, 0.1, 0.5, 2.0, 60.5]),
        st.sampled_from(
            ["fill", "fill", "other", "end", "look", "claim", "claim", "lose", "off", "on"]
        ),
        st.integers(0, 1),
        st.integers(0, 2),
    ),
    max_size=20,
)


def spec(sha: str) -> InstanceSpec:
    tags = {**GROUP, "infrakit.config_sha": sha}
    return InstanceSpec(Raw(b'{"Image": "busybox"}'), tags)


class Story:
    """Two leaders, each with its plugin, over one swarm."""

    def __init__(self, swarm: SwarmInSimulation) -> None:
        self.swarm = swarm
        self.plugins = [SimulatedSwarmInstances(swarm) for _ in EPOCHS]
        self._tasks: list[asyncio.Task[None]] = []

    async def play(self, turns: list[Turn], faults: float) -> None:
        for plugin in self.plugins:
            await plugin.start(lambda event: None)
        await asyncio.create_task(self.claimed(0))
        self.swarm.faults = faults
        for turn in turns:
            await asyncio.sleep(turn.after)
            self._tasks.append(asyncio.create_task(self._take(turn)))
        await asyncio.gather(*self._tasks)

    async def claimed(self, who: int) -> None:
        await self.plugins[who].claim("g", EPOCHS[who])
        self.swarm.claimed["g"] = max(self.swarm.claimed.get("g", 0), EPOCHS[who])

    async def fill_and_empty(self) -> None:
        """Have the older leader fill slot 0, and empty it again."""
        instance = await self.plugins[0].provision(spec("fill"), "0", EPOCHS[0])
        self.swarm.asked_to_end.add(instance)
        await self.plugins[0].destroy(instance, EPOCHS[0])

    async def _take(self, turn: Turn) -> None:
        plugin, epoch, slot = self.plugins[turn.who], EPOCHS[turn.who], SLOTS[turn.where]
        try:
            match turn.what:
                case "fill" | "other":
                    ACTING.set(epoch)
                    await plugin.provision(spec(turn.what), slot, epoch)
                case "end":
                    instance = slots_of(self.swarm).get(slot, "")
                    if instance:
                        ACTING.set(epoch)
                        self.swarm.asked_to_end.add(instance)
                        await plugin.destroy(instance, epoch)
                case "look":
                    self.check(await plugin.describe_instances(GROUP, slots=True))
                case "claim":
                    await self.claimed(turn.who)
                case "lose":
                    self.swarm.lose(slots_of(self.swarm).get(slot, ""))
                case "off":
                    self.swarm.power_off(NODES[turn.where])
                case "on":
                    self.swarm.power_on(NODES[turn.where])
        except IkdemoError:
            pass  # whether it may is judged by what happens

    def check(self, described: list[Description]) -> None:
        slots = [one.slot for one in described]
        assert len(set(slots)) == len(slots), described

    async def settle(self) -> None:
        """Let the later leader have what it wants, without faults, and the older one try."""
        self.swarm.faults = 0.0
        for node in NODES:
            self.swarm.power_on(node)
        _, new = self.plugins
        for _ in range(3):  # until what is late has arrived, and a claim been made after it
            await asyncio.sleep(10)
        await self.claimed(1)
        for slot in SLOTS:
            for what in ("fill", "end"):
                await asyncio.create_task(self._take(Turn(0, what, 0, int(slot))))
        self.swarm.asked_to_end.clear()
        for slot in SLOTS:
            try:
                await new.provision(spec("fill"), slot, 9)
            except IkdemoError as error:  # of another configuration
                assert "occupied by" in str(error), error
        for plugin in self.plugins:
            described = await plugin.describe_instances(GROUP, slots=True)
            self.check(described)
            assert sorted(str(one.slot) for one in described) == list(SLOTS)
            assert {one.id for one in described} == set(slots_of(self.swarm).values())
        assert sorted(self.swarm.running()) == sorted(slots_of(self.swarm).values())


@lived
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.4]), turns)
def test_never_two_in_a_slot_nothing_healthy_ended_and_no_older_leader_after_a_claim(
    seed: int, faults: float, turns: list[Turn]
) -> None:
    wrong: list[str] = []

    async def story() -> None:
        swarm = SwarmInSimulation(random.Random(seed))
        try:
            both = Story(swarm)
            await both.play(turns, faults)
            await both.settle()
            for plugin in both.plugins:
                await plugin.stop()
        finally:
            wrong.extend(swarm.wrong)

    simulated(story)
    assert wrong == []


def simulated(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = SimulatedLoop(lambda: (0.0, 0.0))
    try:
        loop.run_until_complete(asyncio.wait_for(story(), 1000))
    finally:
        loop.close()


def told(tale: Callable[[Story], Coroutine[Any, Any, None]]) -> None:
    """Tell a tale of two leaders, of which the older one has claimed the group."""

    async def story() -> None:
        swarm = SwarmInSimulation(random.Random(1))
        both = Story(swarm)
        await both.play([], 0.0)
        ACTING.set(EPOCHS[0])  # what is begun from here belongs to the older one
        await tale(both)
        assert swarm.wrong == []
        for plugin in both.plugins:
            await plugin.stop()

    simulated(story)


def test_a_fill_that_is_on_its_way_at_a_claim_is_refused() -> None:
    async def tale(both: Story) -> None:
        old, _ = both.plugins
        await both.fill_and_empty()
        late = old.services.hold("update")
        filling = asyncio.create_task(old.provision(spec("fill"), "0", 7))
        await old.services.waiting.wait()
        await both.claimed(1)
        late.set()
        with pytest.raises(Fenced):
            await filling
        assert slots_of(both.swarm) == {"0": ""}

    told(tale)


def test_a_fill_whose_caller_has_given_up_is_refused_when_it_comes_late() -> None:
    async def tale(both: Story) -> None:
        old, new = both.plugins
        await both.fill_and_empty()
        late = old.services.hold("update")
        with pytest.raises(OutcomeUnknown):
            await old.provision(spec("fill"), "0", 7)
        second = await old.provision(spec("fill"), "0", 7)
        late.set()
        await asyncio.sleep(10)
        assert slots_of(both.swarm) == {"0": second}
        assert [one.id for one in await new.describe_instances(GROUP)] == [second]

    told(tale)


def test_a_slot_that_is_made_while_its_group_is_claimed_stays_empty() -> None:
    async def tale(both: Story) -> None:
        old, _ = both.plugins
        late = old.services.hold("create")
        filling = asyncio.create_task(old.provision(spec("fill"), "0", 7))
        await old.services.waiting.wait()
        await both.claimed(1)
        late.set()
        with pytest.raises(Fenced):
            await filling
        assert slots_of(both.swarm) == {"0": ""}

    told(tale)


def test_a_slot_made_between_the_first_look_of_a_claim_and_its_record_is_touched_too() -> None:
    async def tale(both: Story) -> None:
        old, new = both.plugins
        recording = new.services.hold("update")
        claiming = asyncio.create_task(both.claimed(1))
        await new.services.waiting.wait()
        late = old.services.hold("update")
        filling = asyncio.create_task(old.provision(spec("fill"), "0", 7))
        await old.services.waiting.wait()
        recording.set()
        await claiming
        late.set()
        with pytest.raises(Fenced):
            await filling
        assert slots_of(both.swarm) == {"0": ""}

    told(tale)


def test_a_late_destroy_does_not_hit_the_next_instance() -> None:
    async def tale(both: Story) -> None:
        old, new = both.plugins
        first = await old.provision(spec("fill"), "0", 7)
        late = old.services.hold("update")
        ending = asyncio.create_task(old.destroy(first, 7))
        await old.services.waiting.wait()
        both.swarm.lose(first)
        await asyncio.sleep(1)
        second = await new.provision(spec("fill"), "0")
        late.set()
        with pytest.raises(PluginFailure, match=f"{first} is no instance here"):
            await ending
        assert slots_of(both.swarm) == {"0": second}

    told(tale)


def test_a_spare_slot_that_is_filled_just_when_it_is_to_be_removed_stays() -> None:
    async def tale(both: Story) -> None:
        old, new = both.plugins
        await both.fill_and_empty()
        holds = [plugin.services.hold("update", "remove") for plugin in both.plugins]
        for plugin in both.plugins:
            await plugin.services.waiting.wait()
        second = await old.provision(spec("fill"), "0", 7)
        for late in holds:
            late.set()
        await asyncio.sleep(100)
        assert slots_of(both.swarm) == {"0": second}
        assert [one.id for one in await new.describe_instances(GROUP)] == [second]

    told(tale)
