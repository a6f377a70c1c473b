"""Checks the exercise of each notebook: what the learner did in the lab, and what was answered,
with a hint for typical slips.

A function per notebook, named after it. Each looks at the lab through its public methods and
changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ...spi.errors import RemoteFailure
from ..lab import Lab
from .check import Point, answered, checked


@checked
def welcome(lab: Lab, lowest: object) -> Iterator[Point]:
    """Remove all five at once: how far does Q fall, in per cent?"""
    taken = _taken(lab, "collabnix")
    yield Point(
        taken == 5,
        "all five were removed at once",
        f'the last time it was {taken}: lab.kill("collabnix", 5) takes five',
    )
    hints = {
        80: "so far it falls when one of five is lost",
        20: "then one of the five would have stayed",
        100: "there Q is before the fall and after it",
        5: "that many instances were lost. Q is the share that is left, in per cent",
    }
    yield answered(
        "Q falls to, in per cent", lowest, [0], hints, "look for robustness in the measures"
    )


@checked
def plugins(lab: Lab, implements: object) -> Iterator[Point]:
    """Start a third file plugin, my-files: what does it implement?"""
    state = {name: (program, state) for name, program, state in lab.plugins()}
    program, running = state.get("my-files", ("", "not started"))
    start = 'start it: lab.start_plugin("instance-file", name="my-files")'
    yield Point(running == "running", "my-files is running", f"it is {running}; {start}")
    if running == "running":
        yield Point(
            program == "infrakit-instance-file",
            "it is a file plugin",
            f"its program is {program}; stop it, and {start}",
        )
    hints = {
        "Group": "the group plugin answers this. Put plugins/my-files behind --unix-socket",
        "Flavor": "a flavor answers this. Put plugins/my-files behind --unix-socket",
        "instance-file": "this is the name of the kind. The interface is the first Name in "
        "the answer",
        **dict.fromkeys(
            ("Batch", "Digest", "Events", "Slots", "Logs"),
            "this is an extension. The interface is the first Name in the answer",
        ),
    }
    yield answered(
        "it implements",
        implements,
        ["Instance"],
        hints,
        "the interface is the first Name in the answer",
    )


@checked
def commit(lab: Lab, spec: dict[str, Any], replaced: object) -> Iterator[Point]:
    """Change the Note, and pretend: how many would be replaced?"""
    kept = json.loads(lab.inspect("collabnix"))
    before = kept["Instance"]["Properties"]["Note"]
    note = spec["Properties"]["Instance"].get("Properties", {}).get("Note")
    where = 'spec["Properties"]["Instance"]["Properties"]["Note"]'
    yield Point(
        before == "Collabnix Infrakit 101",
        "nothing was committed",
        "the new Note was: use pretend=True, which only asks",
    )
    yield Point(
        note != "Collabnix Infrakit 101",
        "the Note in spec is another one",
        f"it is still {note!r}: change {where}",
    )
    hints = {
        0: "the Note is part of what an instance is made from, so the instances do not fit "
        "any more",
        1: "they go one at a time, but in the end it is more than one",
        2: "so many were added the last time",
        5: "so many there were at first. How many are there now?",
    }
    yield answered(
        "instances that would be replaced",
        replaced,
        [7],
        hints,
        "the commit says it: lab.commit(spec, pretend=True)",
    )


@checked
def self_healing(lab: Lab, dead: object, alive: object) -> Iterator[Point]:
    """Kill the group plugin, remove two, start it again: how many instances are there while it is
    dead, and afterwards?
    """
    recovery, taken = lab.recovery("collabnix"), _taken(lab, "collabnix")
    yield Point(
        taken == 2,
        "two instances were removed",
        f'the last time it was {taken}: lab.kill("collabnix", 2)',
    )
    since = lab.running_since("group")
    yield Point(since > 0, "the group plugin runs", 'start it: lab.start_plugin("group")')
    if since and recovery.falls:
        advice = "it has been running all the time: kill it first, remove two, then start it"
        yield Point(since > recovery.last.began, "it was started after that", advice)
    hints = {
        5: "were the two removed while nobody was there to heal? Kill the group plugin first",
        8: "these are all instances of the file plugin. Count those of collabnix: the tags say "
        "which group",
        0: "the instances are files. They do not need the group plugin to stay",
    }
    yield answered(
        "instances while it is dead", dead, [3], hints, 'count them: lab.instances("instance-file")'
    )
    hints = {
        3: "look again, after lab.wait. The spec did not die with the process",
        7: "it does not make five new ones. It makes what is missing",
    }
    yield answered(
        "instances afterwards", alive, [5], hints, 'count them: lab.describe("collabnix")'
    )


@checked
def rolling_update(lab: Lab, working: object) -> Iterator[Point]:
    """Roll the shop to a bad v3 with a surge of 1: how many of v1 still work while the update is
    stopped?
    """
    updating = json.loads(lab.inspect("shop")).get("Updating") or {}
    yield Point(
        updating.get("Surge") == 1,
        "the shop has a surge of 1",
        'set it: shop["Properties"]["Updating"] = {"Surge": 1}',
    )
    grew = any(level.surplus > 0 for level in lab.recovery("shop").levels)
    yield Point(
        grew, "a sixth instance was made", 'roll to v3: tags["version"] = "v3", then commit shop'
    )
    versions = {
        tag
        for tags in lab.describe("shop").column("tags")
        for tag in tags.split(", ")
        if tag.startswith("version=")
    }
    back = 'go back: tags["version"] = "v1", then commit and wait'
    yield Point(
        versions == {"version=v1"},
        "the shop is back at v1",
        f"there are {', '.join(sorted(versions)) or 'none'}; {back}",
    )
    hints = {
        4: "that was without a surge: the bad one took the place of a good one",
        6: "so many live, but one of them is v3, and sick",
        1: "so many are bad. How many are good?",
        0: "an update that looks at health stops long before",
    }
    yield answered(
        "v1 that still work",
        working,
        [5],
        hints,
        'count v1: lab.describe("shop") while it is stopped',
    )


@checked
def cattle_and_pets(lab: Lab, slots: object) -> Iterator[Point]:
    """Commit two pets of the same name, kill one: which slots do they have?"""
    names = json.loads(lab.inspect("twins"))["Allocation"].get("LogicalIDs")
    wanted = 'set it: ["Allocation"] = {"LogicalIDs": ["rex", "rex"]}'
    yield Point(
        names == ["rex", "rex"],
        "twins are two pets with the name rex",
        f"the names are {names}; {wanted}",
    )
    fell = lab.recovery("twins")
    yield Point(bool(fell.falls), "one was killed", 'kill one: lab.kill("twins", 1)')
    yield Point(fell.healed, "it came back", 'wait for it: lab.wait("twins")')
    given = (
        sorted(slots)
        if isinstance(slots, (list, tuple, set)) and all(isinstance(one, str) for one in slots)
        else slots
    )
    advice = "a slot is the name and a number, from 0 on. See the column slot of lab.describe"
    if given == ["rex", "rex"]:
        advice = (
            "these are the names. A slot has a number, too: see the column slot of lab.describe"
        )
    elif given == ["0", "1"]:
        advice = "slots of cattle are numbers. A pet's slot begins with its name"
    elif given == ["rex#1", "rex#2"]:
        advice = "nearly. The first one has the number 0"
    yield answered("their slots", given, [["rex#0", "rex#1"]], {}, advice)


@checked
def real_processes(lab: Lab, expected: object) -> Iterator[Point]:
    """Make the probe quicker: after how many milliseconds is a silent server noticed, on
    average?
    """
    probe = json.loads(lab.inspect("collabnix"))["Flavor"]["Properties"]
    for name, wanted in (("Interval", "200ms"), ("Timeout", "100ms"), ("Threshold", 2)):
        advice = f"it is {probe.get(name)!r}: change it in the spec, then commit"
        yield Point(probe.get(name) == wanted, f"{name} is {wanted}", advice)
    hints = {
        0.4: "right in seconds. The question asks for milliseconds",
        300: "that is the best case. The question before the first bad answer is half an "
        "interval away, on average",
        500: "that is the worst case. On average the next question is only half an interval away",
        600: "only the second bad answer is needed: N - 1 intervals lie between the first and "
        "the last",
        1650: "that was the old rhythm",
    }
    yield answered(
        "noticed after, in milliseconds",
        expected,
        [400],
        hints,
        "put the new numbers into I/2 + (N - 1) I + T",
    )


@checked
def docker(group: object, always: object, swarm: object) -> Iterator[Point]:
    """Two of five get docker kill, one loses its process: how many run three seconds later, with
    each way of healing?
    """
    hints = {
        2: "so many were not hit. Three seconds are long for the group: see its row in the table"
    }
    yield answered(
        "in our group", group, [5], hints, "which of its slots are empty after three seconds?"
    )
    hints = {
        5: "does it heal what docker kill ended? See its row in the table",
        2: "so many were not hit. But one of the three lost its process only, and this it heals",
        4: "two were ended by docker kill, and only one lost its process",
    }
    yield answered(
        "with --restart=always",
        always,
        [3],
        hints,
        "count those that were not hit, and those that it heals",
    )
    hints = {
        5: "in the end, yes. But three seconds are too short: see its row in the table",
        3: "it does not matter to a service how a container ended. How long does it wait?",
    }
    yield answered(
        "in the Swarm service", swarm, [2], hints, "how long does it wait, with its defaults?"
    )


@checked
def swarm(running: object, counted: object, may_be_lost: object) -> Iterator[Point]:
    """Two of five machines are cut off: how many of 15 run, how many are counted? How many of those
    that elect may be lost?
    """
    hints = {
        15: "so many are counted. What runs on the two machines that are cut off?",
        9: "so many run on the other three at first. Then the group replaces what it lost",
        6: "so many run on the two that are cut off. How many run on all five?",
        12: "six are made again, and the six that nobody counts run on",
    }
    yield answered(
        "running on all five",
        running,
        [21],
        hints,
        "15 where they are counted, and three on each machine that is cut off",
    )
    hints = {
        9: "at first, yes. But then the group replaces what it lost",
        21: "so many run. The group cannot see those on the machines that are cut off",
    }
    yield answered("counted by the group", counted, [15], hints, "what size does it keep?")
    given = list(may_be_lost) if isinstance(may_be_lost, (list, tuple)) else may_be_lost
    advice = "more than half of all has to be left: of 3 that is 2, so 1 may be lost. And of 4?"
    if given == [1, 2, 2, 3]:
        advice = "half is not enough: two of four could be on either side of a cut cable"
    elif given == [2, 3, 3, 4]:
        advice = "so many have to be left. How many may be lost?"
    unanswered = isinstance(given, list) and ... in given
    yield answered(
        "of 3, 4, 5 and 6 may be lost", None if unanswered else given, [[1, 1, 2, 2]], {}, advice
    )


@checked
def own_plugin(lab: Lab) -> Iterator[Point]:
    """Teach the zoo to refuse a spec without animals."""
    try:
        lab.commit(_zoo(["otter"]), pretend=True)
        accepted = Point(True, "a zoo with an otter is accepted", "")
    except RemoteFailure as error:
        accepted = Point(
            False,
            "a zoo with an otter is accepted",
            f"it says: {error}. Only an empty list is to be refused",
        )
    yield accepted
    fact, where = "a zoo without animals is refused", "$.Properties.Animals"
    try:
        lab.commit(_zoo([]), pretend=True)
    except RemoteFailure as error:
        if accepted.good:
            yield Point(True, f"{fact}: {error}", "")
            begin = f'begin its sentence with the path: SpecError("{where}: a zoo needs animals")'
            yield Point(".Animals:" in str(error), "the error says where", begin)
    else:
        advice = (
            "it was accepted. Does validate raise SpecError? Was the old plugin stopped, "
            "and the new script started?"
        )
        yield Point(False, fact, advice)


def _taken(lab: Lab, group: str) -> int:
    """Return how many instances were taken by the last fault in a group."""
    faults = [event.time for event in lab.recovery(group).events if event.kind == "fault"]
    return faults.count(max(faults, default=0.0))


def _zoo(animals: list[str]) -> dict[str, Any]:
    flavor = {"Plugin": "flavor-zoo", "Properties": {"Animals": animals}}
    properties = {
        "Allocation": {"Size": 1},
        "Instance": {"Plugin": "instance-file", "Properties": {}},
        "Flavor": flavor,
    }
    return {"ID": "asked", "Properties": properties}
