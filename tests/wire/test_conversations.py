"""Every recorded conversation with InfraKit's real group, instance and flavor plugins, replayed
against ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import replay

LINES = replay.recordings(Path(__file__).parent / "conversations.jsonl")
STATELESS = [line for line in LINES if line["session"].startswith("stateless")]
SESSIONS: dict[str, list[dict[str, Any]]] = {}
for recorded in LINES:
    if not recorded["session"].startswith("stateless"):
        SESSIONS.setdefault(recorded["session"], []).append(recorded)


@pytest.fixture
def world(short_dir: Path) -> Iterator[replay.World]:
    made = replay.World(short_dir / "w")
    yield made
    made.stop()


def test_requests_that_stand_alone(world: replay.World) -> None:
    world.boot()
    assert len(STATELESS) > 170
    differences = [text for line in STATELESS if (text := replay.difference(world, line))]
    assert differences == []


@pytest.mark.parametrize("session", sorted(SESSIONS))
def test_session(world: replay.World, session: str) -> None:
    lines = sorted(SESSIONS[session], key=lambda line: line["seq"])
    setup = next(
        (step for line in lines for step in line.get("pre", []) if "poll_interval" in step), {}
    )
    world.boot(setup.get("poll_interval", "1h"), setup.get("running"))
    differences = []
    for line in lines:
        for step in line.get("pre", []):
            world.prepare(step)
        if text := replay.difference(world, line):
            differences.append(text)
    assert differences == []
