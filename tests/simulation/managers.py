"""One story of two managers in simulated time: commands that overlap, and everything that befalls
managers, leadership, the store and the group plugins meanwhile; then peace, and a look at what has
become of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ikdemo.manager.global_spec import GlobalSpec, GroupEntry
from ikdemo.manager.plugin import Manager
from ikdemo.spi.errors import (
    NotLeader,
    OutcomeUnknown,
    PluginFailure,
    PluginUnavailable,
    UnknownGroup,
    VersionConflict,
)

from .loop import Process, SimulatedLoop, Stuck
from .managed import (
    BROKEN,
    NOTHING,
    Fault,
    ManagedWorld,
    OneGroupPlugin,
    SimulatedBackend,
    SimulatedGroups,
    spec_of,
)
from .model import OK, UNKNOWN, Answer, Command, Record

COMMANDS = ("commit", "commit", "scale", "free", "destroy")
EVENTS = ("elect", "elect", "kill", "restart", "away", "store")
GROUPS = ("a", "b")
MACHINES = ("m-0", "m-1")
PEACE = 90.001
"""Seconds after the last fault until everything is as it has to be; at a moment at which nothing
happens, so that all that has ended was heard of.
"""


class Item(NamedTuple):
    """One thing that happens, so many seconds ``after`` the one before. ``verb``: a command, or:
    elect (nobody, if ``on`` is 2); kill and start again a manager; restart a group plugin; have one
    go away or come back; have the store not answer, or answer again. ``on``: the number of the
    manager; 2: the one that leads.
    """

    after: float
    verb: str
    on: int = 2
    group: str = "a"
    size: int = 1


class Story(NamedTuple):
    """What happens, and what befalls the calls. Its text, pasted into ``tell``, repeats it."""

    items: list[Item]
    faults: list[Fault]


class Life:
    """One life of a manager, as a process."""

    def __init__(self, world: ManagedWorld, groups: SimulatedGroups, machine: str, number: int):
        self.process, self.ended = Process(number), asyncio.Event()
        self.backend = SimulatedBackend(world, machine, f"{machine}.{number}")
        groups.backend = self.backend
        lookup, now = OneGroupPlugin(groups), world.loop.time
        self.manager = Manager(lookup, self.backend, "behind", now)  # type: ignore[arg-type]
        world.loop.spawn(self.process, self._begin(), 0)

    async def _begin(self) -> None:
        await self.manager.start(lambda event: None)
        await self.manager.serving()


class Told:
    """A story being told; ``wrong`` holds what it broke, ``trace`` what happened, ``answers`` how
    often each answer was given.
    """

    def __init__(self, story: Story, *, with_broken: bool = True) -> None:
        self._story, self._with_broken = story, with_broken
        self._loop = SimulatedLoop(lambda: (0.0, 0.0))
        self.world = ManagedWorld(self._loop, story.faults, GROUPS)
        self.wrong, self.trace = self.world.wrong, self.world.trace
        self.answers = Counter[str]()
        self._loop.set_exception_handler(lambda _, said: self.world.blame(f"{said}"))
        self._lives: list[Life] = []
        self._now: list[Life] = []
        self._number = 0

    def run(self) -> Told:
        with quiet():
            asyncio.set_event_loop(self._loop)
            try:
                self._loop.run_until_complete(self._tell())
            except Stuck as stuck:
                self.world.blame(f"{stuck}")
            finally:
                left = self._loop.remove_ended([life.process for life in self._lives])
                self.wrong.extend(left)
                asyncio.set_event_loop(None)
                self._loop.close()
        return self

    async def _tell(self) -> None:
        self.groups = [SimulatedGroups(self.world) for _ in MACHINES]
        if self._with_broken:  # so that something is tried again all the time
            broken = spec_of(BROKEN, Record("x", 1))
            self.world.put(GlobalSpec({BROKEN: GroupEntry("behind", broken)}))
        for number in range(len(MACHINES)):
            self._now.append(self._start(number))
        await asyncio.sleep(1.0)
        commands = []
        for item in self._story.items:
            await asyncio.sleep(item.after)
            self.world.say(" ".join(map(str, item)))
            if item.verb in COMMANDS:
                commands.append(asyncio.ensure_future(self._command(item)))
            else:
                self._happens(item)
        await asyncio.gather(*commands)
        self.world.end_faults()
        self.world.wanted = MACHINES[0]
        for groups in self.groups:
            groups.away = False
            groups.restarted.set()
        await asyncio.sleep(PEACE)
        await self._check()

    def _start(self, number: int) -> Life:
        life = Life(self.world, self.groups[number], MACHINES[number], len(self._lives))
        self._lives.append(life)
        return life

    def _happens(self, item: Item) -> None:
        number = item.on if item.on < len(MACHINES) else self._leading()
        match item.verb:
            case "elect":
                self.world.wanted = MACHINES[item.on] if item.on < len(MACHINES) else ""
            case "kill":
                self._loop.freeze(self._now[number].process)
                self._now[number].ended.set()
                self._now[number] = self._start(number)
            case "restart":
                self.groups[number].restart()
            case "away":
                self.groups[number].away = not self.groups[number].away
                self.groups[number].restart()
            case "store":
                self.world.store_away = not self.world.store_away

    def _leading(self) -> int:
        return next((n for n in (0, 1) if self.world.holder.startswith(MACHINES[n])), 0)

    async def _command(self, item: Item) -> None:
        """Ask for something, and have it explained by some order of all that was asked."""
        self._number += 1
        number, note = self._number, f"v{self._number}"
        life = self._now[item.on if item.on < len(MACHINES) else self._leading()]
        command = Command(item.verb, item.group, note, item.size)
        history = self.world.histories[item.group]
        history.called(number, command)
        asked = self._loop.spawn(life.process, self._ask(life.manager, command), number)
        ended = asyncio.ensure_future(life.ended.wait())
        await asyncio.wait((asked, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        answer = asked.result() if asked.done() else None
        self.world.say(f"{command} was answered {answer}")
        self.answers[answer[0] if answer else "not known"] += 1
        if answer is not None and (trouble := history.answered(number, answer)):
            self.world.blame(trouble)

    async def _ask(self, manager: Manager, command: Command) -> Answer | None:
        """Return the answer; None when it is not known what has become of the command."""
        _, group, note, size = command
        try:
            match command.verb:
                case "commit":
                    await manager.commit_group(spec_of(group, Record(note, size)))
                case "scale":
                    await manager.scale_group(group, size)
                case "free":
                    await manager.free_group(group)
                case _:
                    await manager.destroy_group(group)
        except UnknownGroup:
            return UNKNOWN
        except (OutcomeUnknown, PluginFailure) as error:
            if "is stored and is" in str(error) or "no longer stored" in str(error):
                return OK
            return None if isinstance(error, OutcomeUnknown) else NOTHING
        except (NotLeader, PluginUnavailable, VersionConflict):
            return NOTHING
        return OK

    async def _check(self) -> None:
        """In peace the first manager leads: its group plugin keeps what is stored, the other one
        nothing.
        """
        world = self.world
        stored = {group: world.stored(group) for group in world.spec.groups if group != BROKEN}
        kept = {group: self.groups[0].kept.get(group, record) for group, record in stored.items()}
        for group, record in kept.items():
            if group not in self.groups[0].kept and record is not None and record.size:
                world.blame(f"{group} is stored and is not kept")
        if stored != kept or set(self.groups[0].kept) - set(stored):
            world.blame(f"stored is {stored}, kept is {self.groups[0].kept}")
        if self.groups[1].kept:
            world.blame(f"who does not lead keeps {self.groups[1].kept}")
        codes = [reason.code for reason in await self._now[0].manager.why_group(BROKEN)]
        if self._with_broken and codes != ["spec-refused"]:
            world.blame(f"of a group that is refused is said {codes}")


def tell(story: Story) -> Told:
    """Tell a story to its end."""
    return Told(story).run()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave out what managers log."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
