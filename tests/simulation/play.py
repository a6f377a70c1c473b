"""Plays one schedule and says what it broke: P9 of every command, and the promises on what the
group's loop does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Raw

from ikdemo.group.commit_checks import checked_properties
from ikdemo.spi.config_sha import sha_of
from ikdemo.spi.contracts import GroupPlugin
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import SHA_TAG, GroupProperties, GroupSpec
from ikdemo.spi.errors import IkdemoError, OutcomeUnknown

from .disk import Disk
from .history import History
from .life import GroupProcess, simulated_time, tell
from .loop import SimulatedLoop, Stuck
from .model import MARKED, OK, REFUSED, UNKNOWN, Answer, Command
from .plugins import SimulatedFlavor, SimulatedInstances, World
from .schedule import Item, Schedule
from .watch import Watch
from .weather import CALM

ANSWER_WAIT = 240.0
"""Seconds within which every command is answered once the faults have ended."""
ARRIVAL = 40.0
"""Seconds after which whatever was sent while there were faults has arrived."""
GROUPS = ("a", "b")
UPDATING = {
    "v1": None,
    "v2": {"BatchSize": 2},
    "v3": {"BatchSize": 1, "Surge": 1, "Duration": "1s"},
}
MOST_OPEN = 6
"""Commands on one group under way at once."""


def spec(group: str, note: str, size: int) -> GroupSpec:
    """Return the spec that a commit of this configuration sends."""
    section = {"Note": note, "Group": group}
    properties: dict[str, Any] = {
        "Allocation": {"Size": size},
        "Instance": {"Plugin": "cloud", "Properties": section},
        "Flavor": {"Plugin": "plain", "Properties": section},
    }
    if UPDATING[note]:
        properties["Updating"] = UPDATING[note]
    return GroupSpec(group, Raw(json.dumps(properties).encode()))


NOTES = {
    sha_of(checked_properties(spec(group, note, 1))): note for group in GROUPS for note in UPDATING
}
"""Configuration hash to the configuration's name."""


def play(schedule: Schedule) -> Play:
    """Play a schedule to its end."""
    played = Play(schedule)
    played.run()
    return played


class Play:
    """One schedule being played; ``wrong`` holds what it broke, ``trace`` its story."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._loop = SimulatedLoop(lambda: self._disk.thread_time())
        self._histories = {group: History() for group in GROUPS}
        self._watch = Watch(self._loop, self._histories)
        self._loop.begun = self._watch.begun
        self._loop.set_exception_handler(
            lambda _, said: self._watch.blame(f"{said['message']}: {said.get('exception')!r}")
        )
        self.wrong, self.trace = self._watch.wrong, self._watch.trace
        self._world = World(self._loop, schedule.weather, schedule.seed, self._watch)
        self._watch.living, self._watch.notes = self._world.living, NOTES
        self._disk = Disk(self._loop, schedule.weather, random.Random(f"{schedule.seed}/disk"))
        self._plugins = (
            SimulatedInstances(self._world, slots=schedule.slots, lag=schedule.lag),
            SimulatedFlavor(self._world, constant=schedule.constant),
        )
        self._processes: list[GroupProcess] = []
        self._number = 0
        self._open: dict[int, tuple[Command, asyncio.Task[Answer]]] = {}
        self.answered = 0

    @property
    def loops(self) -> int:
        """How many loops of groups were begun."""
        return sum(map(len, self._watch.loops.values()))

    def run(self) -> None:
        """Play, and end whatever is left afterwards."""
        with simulated_time(self._loop), _errors_heard(self._watch):
            try:
                self._loop.run_until_complete(self._play())
            except Stuck as error:
                self._watch.blame(str(error))
            for died in self._loop.remove_ended(list(self._processes)):
                self._watch.blame(f"a task died unheard: {died}")
            self._watch.ended = True
        self._loop.close()

    async def _play(self) -> None:
        await self._start()
        for item in self.schedule.items:
            await asyncio.sleep(item.after)
            await self._do(item)
        await self._end_well()
        self._watch.ended = True

    async def _do(self, item: Item) -> None:
        if item.verb in ("restart", "crash"):
            await self._restart(orderly=item.verb == "restart", after=item.pick)
        elif item.verb == "kill":
            self._world.kill(item.group, item.pick)
        elif item.verb == "make_unhealthy":
            self._world.make_unhealthy(item.group, item.size)
        elif item.verb == "down":
            self._world.down["cloud" if item.pick < 0.5 else "plain"] = (
                self._loop.time() + 10 * item.pick
            )
        elif sum(command.group == item.group for command, _ in self._open.values()) < MOST_OPEN:
            number, task = self._call(item)
            if item.gives_up is not None:
                self._loop.call_later(item.gives_up, self._give_up, number, task)

    # -- commands

    def _call(self, item: Item) -> tuple[int, asyncio.Task[Answer]]:
        self._number += 1
        number, process = self._number, self._processes[-1]
        command = Command(
            "look" if item.verb in ("why", "describe") else item.verb,
            item.group,
            item.note,
            item.size,
        )
        self._watch.say(f"[{number}] {command}")
        history = self._histories[item.group]
        history.called(number, command)
        self._watch.changed(item.group)
        task = self._loop.spawn(process, answer_of(process.groups, item), origin=number)
        self._open[number] = command, task
        task.add_done_callback(
            lambda done: self._answer(number, command, done), context=self._loop.world
        )
        return number, task

    def _answer(self, number: int, command: Command, task: asyncio.Task[Answer]) -> None:
        if self._open.pop(number, None) is None:
            return  # nobody listens any longer
        self.answered += 1
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._watch.blame(f"'{command}' was answered with {error!r}")
        answer: Answer = ("failed",) if error is not None else task.result()
        self._watch.say(f"[{number}] {command} -> {answer}")
        if answer[0] == "not known":
            return  # it may yet happen: it stays open for the history
        if answer == OK:
            self._watch.answered(command.group, command.verb)
        if complaint := self._histories[command.group].answered(number, answer):
            self._watch.blame(complaint)
        self._watch.changed(command.group)

    def _give_up(self, number: int, task: asyncio.Task[Answer]) -> None:
        if self._open.pop(number, None) is not None:
            self._watch.say(f"[{number}] the caller goes away")
            task.cancel()

    async def _ask(self, group: str, verb: str) -> Answer:
        """Call a command and wait for its answer."""
        _, task = self._call(Item(0.0, verb, group))
        await asyncio.wait([task])
        await asyncio.sleep(0)
        return ("failed",) if task.cancelled() or task.exception() else task.result()

    # -- processes

    async def _start(self) -> None:
        process = GroupProcess(
            len(self._processes) + 1,
            self._loop,
            self._world,
            self._disk,
            self._plugins,
            poll=self.schedule.poll,
            telling=self.schedule.telling,
        )
        self._processes.append(process)
        starting = process.groups.start(lambda event: self._watch.say(f"    {tell(event)}"))
        try:
            await self._loop.spawn(process, starting, origin=-process.number)
        except IkdemoError as error:
            self._watch.blame(f"the process does not start: {error!r}")
            raise Stuck("nothing runs") from None
        for group in GROUPS:
            self._call(Item(0.0, "inspect", group))

    async def _restart(self, *, orderly: bool, after: float) -> None:
        process = self._processes[-1]
        self._watch.say("the process is stopped" if orderly else "the process is killed")
        if orderly:
            stop = self._loop.spawn(process, process.groups.stop(), origin=-process.number)
            await asyncio.wait([stop], timeout=90.0)
            if not stop.done():
                self._watch.blame("the process does not stop")
            elif error := stop.exception():
                self._watch.blame(f"the process stopped with {error!r}")
            await self._everything_answered("after the process was stopped")
            self._watch.stopped(process)
        self._loop.freeze(process)
        self._open.clear()
        for group, history in self._histories.items():
            history.ended()
            self._watch.changed(group)
        await asyncio.sleep(after)
        await self._start()

    async def _everything_answered(self, when: str) -> None:
        if tasks := [task for _, task in self._open.values()]:
            await asyncio.wait(tasks, timeout=ANSWER_WAIT)
            await asyncio.sleep(0)
        for number, (command, task) in list(self._open.items()):
            if not task.done():
                self._watch.blame(f"[{number}] '{command}' was never answered, {when}")
                del self._open[number]

    # -- the end

    async def _end_well(self) -> None:
        """Let the faults end: every command is answered, every group converges and stays quiet for
        two polls.
        """
        self._watch.say("the faults end")
        self._world.weather = self._disk.weather = CALM
        self._world.down.clear()
        for one in self._world.living.values():
            one.well = True
        await self._everything_answered("though nothing fails any longer")
        await asyncio.sleep(ARRIVAL)
        poll = self.schedule.poll
        for group in GROUPS:
            if self.schedule.resumes and (await self._ask(group, "why"))[:2] == ("seen", True):
                await self._ask(group, "resume")
            await self._converge(group, 600.0 + 3 * poll)
        await asyncio.sleep(2.1)
        before, at = self._watch.actions, len(self.trace)
        await asyncio.sleep(2 * poll + 1)
        if self._watch.actions != before:
            self._watch.blame(f"there is no rest: {self.trace[at : at + 6]}")
        for group in GROUPS:
            for verb in ("inspect", "why", "describe"):
                await self._ask(group, verb)

    async def _converge(self, group: str, patience: float) -> None:
        end = self._loop.time() + patience
        while True:
            answer = await self._ask(group, "describe")
            if answer == UNKNOWN or (answer[0] == "seen" and answer[2]):
                return
            reasons = await self._ask(group, "why")
            if reasons[:2] == ("seen", True) or (
                reasons[0] == "seen" and set(reasons[3]) == {"adopted-outdated"}
            ):
                return
            if self._loop.time() > end:
                self._watch.blame(f"group {group} does not converge: {answer}, {reasons}")
                return
            await asyncio.sleep(min(5.0, patience / 20))


async def answer_of(
    groups: GroupPlugin, item: Item, spec: Callable[[str, str, int], GroupSpec] = spec
) -> Answer:
    """Give a command to a group plugin; return what it answers, in the words of the model."""
    group, verb = item.group, item.verb
    try:
        if verb in ("commit", "pretend"):
            return "details", await groups.commit_group(
                spec(group, item.note, item.size), verb == "pretend"
            )
        if verb == "scale":
            return "details", await groups.scale_group(group, item.size)
        if verb == "inspect":
            return "is", _inspected(await groups.inspect_groups(), group)
        if verb == "why":
            reasons = await groups.why_group(group)
            codes = tuple(reason.code for reason in reasons)
            return "seen", "paused" in codes, None, codes, tuple(reason.text for reason in reasons)
        if verb == "describe":
            described = await groups.describe_group(group)
            notes = [
                NOTES.get((one.tags or {}).get(SHA_TAG, ""), "?")
                for one in described.instances or ()
            ]
            return "seen", None, (len(notes), tuple(notes)) if described.converged else None
        if verb == "force":
            await groups.force_free(group, force=True)
        else:
            await getattr(groups, f"{verb}_group")(group)
    except IkdemoError as error:
        return _refusal(verb, error)
    return OK


def _refusal(verb: str, error: IkdemoError) -> Answer:
    """Return what an error says, by its words: over a socket nothing else of it is left."""
    text = str(error)
    if "is not being watched" in text:
        return UNKNOWN
    if "is marked for destruction" in text:
        return MARKED
    if "is being destroyed" in text:
        return REFUSED
    if isinstance(error, OutcomeUnknown) or "it may have happened" in text:
        return "not known", text
    return OK if verb in ("free", "force") and "was let go" in text else ("failed", text)


def _inspected(specs: list[GroupSpec], group: str) -> tuple[str, int] | None:
    for one in specs:
        if one.id == group:
            properties = decode(one.properties, GroupProperties)
            return json.loads(bytes(properties.instance.properties))[
                "Note"
            ], properties.allocation.size
    return None


class _Errors(logging.Handler):
    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.ERROR)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self._watch.blame(f"an error is logged: {record.getMessage()}: {cause!r}")


@contextmanager
def _errors_heard(watch: Watch) -> Iterator[None]:
    """Take an error in the log for a fault: it is a bug that was caught."""
    logger, heard = logging.getLogger("ikdemo"), _Errors(watch)
    level, logger.level = logger.level, logging.ERROR
    logger.addHandler(heard)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.level, logger.propagate = level, propagate
        logger.removeHandler(heard)
