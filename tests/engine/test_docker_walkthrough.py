"""The walk-through about containers, typed as printed where a Docker engine answers; without one
see ``ground/test_pages``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from engine.private import IMAGE, PrivateEngine
from pages import ROOT, settled, story, typed

PAGE, HEADING = "docs/walkthrough.md", "Containers"
NAMED = "busybox:1.37"
"""The image that the page's example names; here the engine's own stands in for it."""


@pytest.fixture
def engine_with_busybox(engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """Give an engine that has the image which the example names, so that nothing is fetched."""
    if shutil.which("docker") is None:
        pytest.skip(
            "the page types Docker's own command: apt-get install docker.io, or docker-cli where "
            "that is a package"
        )
    client = docker.APIClient(engine.host, timeout=100)
    try:
        client.tag(IMAGE, *NAMED.split(":"))
        yield engine
        client.remove_image(NAMED)
    finally:
        client.close()


def test_containers_do_what_the_page_prints(
    engine_with_busybox: PrivateEngine, short_dir: Path
) -> None:
    shutil.copytree(ROOT / "examples", short_dir / "examples")
    lines = [line for line in typed(PAGE) if line.heading == HEADING]
    assert len(lines) >= 8
    with story(short_dir) as terminals:
        for line in lines:
            assert terminals.type(line) == settled(line.expected, terminals.plugins), line.command
        assert terminals.staying() == terminals.running() == []
