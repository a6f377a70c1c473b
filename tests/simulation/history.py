"""Is there an order of the commands that explains every answer? The linearizability of one group's
history, checked as it grows.

Kept are all configurations that are still possible: a state of the model, and which of the commands
under way have had their effect, with the answer each will then have to give. A command that is
called adds possibilities, an answer ends those that it contradicts, and when none is left, no order
explains what was said. (Wing and Gong's search, made just in time as Lowe has it.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .model import Answer, Command, Record, State, agrees, steps

Steps = Callable[[Command, State, Answer | None], Iterable[tuple[State, Answer]]]
Agrees = Callable[[Answer, Answer], bool]

Configuration = tuple[State, frozenset[tuple[int, Answer]]]
MOST = 20_000
"""Configurations beyond which a history is not followed any further."""


class History:
    """The commands on one group, and what is possible now. ``steps`` and ``agrees``: the model that
    explains them, by default that of a group plugin.
    """

    def __init__(self, steps: Steps = steps, agrees: Agrees = agrees) -> None:
        self._steps, self._agrees = steps, agrees
        self._possible: set[Configuration] = {(None, frozenset())}
        self._open: dict[int, Command] = {}
        self.lost = False

    def states(self) -> set[State]:
        """Return the states in which the group may be now."""
        return {state for state, _ in self._possible}

    def may_be(self, condition: Callable[[Record], bool]) -> bool:
        """Say whether there may be a group that is so."""
        return self.lost or any(state is not None and condition(state) for state in self.states())

    def open(self, verb: str) -> bool:
        """Say whether a command of this kind is under way."""
        return any(command.verb == verb for command in self._open.values())

    def called(self, number: int, command: Command) -> None:
        self._open[number] = command
        self._close()

    def answered(self, number: int, answer: Answer) -> str:
        """Take in an answer; return what is wrong with it, empty if it can be explained."""
        if self.lost:
            return ""
        before, command = self.states(), self._open.pop(number)
        if answer[0] == "failed":  # it may have happened or not
            self._keep((state, _without(done, number)) for state, done in self._possible)
            return ""
        self._keep(
            (state, _without(done, number))
            for state, done in self._possible
            if any(one == number and self._agrees(answer, modelled) for one, modelled in done)
        )
        if self._possible:
            return ""
        self.lost = True
        possible = sorted(map(str, before))
        return (
            f"no order of the commands explains that '{command}' was answered {answer!r}; "
            f"possible before: {possible}"
        )

    def ended(self) -> None:
        """The process has ended: what was not answered has happened by now, or never will."""
        self._open.clear()
        self._keep((state, frozenset()) for state, _ in self._possible)

    def _keep(self, left: Iterable[Configuration]) -> None:
        self._possible = set(left)

    def _close(self) -> None:
        """Add whatever the commands under way may do next, in any order, and that a group that is
        being destroyed may be gone.
        """
        left = list(self._possible)
        while left:
            state, done = left.pop()
            so_far = dict(done)
            after: list[Configuration] = (
                [(None, done)] if state is not None and state.destroying else []
            )
            for number, command in self._open.items():
                before = so_far.get(number)
                for following, answer in self._steps(command, state, before):
                    changed = done if before is None else done - {(number, before)}
                    after.append((following, changed | {(number, answer)}))
            for one in after:
                if one not in self._possible:
                    self._possible.add(one)
                    left.append(one)
            if len(self._possible) > MOST:
                self.lost = True
                return


def _without(done: frozenset[tuple[int, Answer]], number: int) -> frozenset[tuple[int, Answer]]:
    return frozenset(pair for pair in done if pair[0] != number)
