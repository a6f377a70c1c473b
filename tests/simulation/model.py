"""What a group is to those who command it, as a sequential model: one command at a time, each with
its answer.

A state is None (no such group) or a ``ProcessRecord``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Record(NamedTuple):
    """A group that is there. ``note`` names its configuration."""

    note: str
    size: int
    paused: bool = False
    destroying: bool = False


State = Record | None
Answer = tuple[Any, ...]
"""What a command is told: its kind, and what it says of the group."""


class Command(NamedTuple):
    """What is asked of a group. ``verb``: commit, pretend, scale, pause, resume, step, free, force,
    destroy, inspect, look.
    """

    verb: str
    group: str
    note: str = ""
    size: int = 0

    def __str__(self) -> str:
        wanted = {
            "commit": f" {self.note}x{self.size}",
            "pretend": f" {self.note}x{self.size}",
            "scale": f" {self.size}",
        }
        return f"{self.verb} {self.group}{wanted.get(self.verb, '')}"


UNKNOWN: Answer = ("unknown group",)
REFUSED: Answer = ("being destroyed",)
MARKED: Answer = ("marked",)
OK: Answer = ("ok",)


def steps(command: Command, state: State, so_far: Answer | None) -> Iterator[tuple[State, Answer]]:
    """Yield what may happen at one moment to a command under way: the state after it, and the
    answer it then has.

    ``so_far`` is the answer of a command that had a first effect already: a destroy, which marks
    and then waits.
    """
    verb = command.verb
    if so_far is not None:
        if so_far == MARKED and state is None:
            yield None, OK
    elif verb == "inspect":
        yield state, ("is", state[:2] if state else None, bool(state and state.destroying))
    elif verb in ("commit", "pretend") and state is None:
        yield (
            (Record(command.note, command.size) if verb == "commit" else None),
            ("managing", command.size),
        )
    elif state is None:
        yield None, UNKNOWN
    elif verb == "look":
        yield state, ("seen", state)
    elif verb == "destroy":
        yield state._replace(paused=False, destroying=True), MARKED
    elif verb == "force":
        yield None, OK
    elif state.destroying:
        yield state, REFUSED
    elif verb in ("commit", "pretend"):
        after = state._replace(note=command.note, size=command.size)
        yield (after if verb == "commit" else state), ("changing", state[:2], after[:2])
    elif verb == "scale":
        after = state._replace(size=command.size)
        yield after, ("changing", state[:2], after[:2])
    elif verb in ("pause", "resume"):
        yield state._replace(paused=verb == "pause"), OK
    elif verb == "free":
        yield None, OK
    else:
        assert verb == "step"
        yield state, OK


def agrees(said: Answer, modelled: Answer) -> bool:
    """Say whether what was answered is what the model answers."""
    kind = said[0]
    if kind == "details":
        return modelled[0] in ("managing", "changing") and _details_agree(said[1], modelled)
    if kind == "marked":  # "is marked for destruction and being worked on"
        return modelled in (MARKED, OK)
    if kind == "seen":
        return modelled[0] == "seen" and _look_agrees(said[1], said[2], modelled[1])
    if kind == "is":
        _, found = said
        _, there, destroying = modelled if modelled[0] == "is" else ("", "nothing", False)
        return found == there or (destroying and found is None)
    return said == modelled


def _details_agree(text: str, modelled: Answer) -> bool:
    if modelled[0] == "managing":
        return text.startswith(f"Managing {modelled[1]} instances")
    (old_note, old), (note, new) = modelled[1:]
    if text.startswith("Managing"):
        return False
    if new < old:
        return text.startswith(
            f"Terminating {old - new} instances to reduce the group size to {new}"
        )
    if new > old:
        return f"dding {new - old} instances to increase the group size to {new}" in text
    return (
        not text.startswith("Terminating")
        and "dding" not in text
        and not ("Noop" in text and old_note != note)
    )


def _look_agrees(
    paused: bool | None, found: tuple[int, tuple[str, ...]] | None, state: Record
) -> bool:
    """``paused``: whether it says so, if it was asked. ``found``: how many instances, of which
    configurations, if converged.
    """
    if state.destroying:
        return found is None or found[0] == 0
    if paused is not None and paused != state.paused:
        return False
    return found is None or (found[0] == state.size and set(found[1]) <= {state.note})
