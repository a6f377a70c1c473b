"""A learner's own plugin in a lab: an object served from this Python, and a file started as a
process.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ikdemo.disk import Lease
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.lab import Lab, collabnix
from ikdemo.spi.errors import IkdemoError, InUse, PluginUnavailable

SCRIPT = """
from ikdemo.assembly import run
from ikdemo.disk import Lease
from ikdemo.flavor.vanilla import Vanilla

run(lambda lookup: Vanilla(), name="flavor-mine", exit_with_stdin=True)
"""


def mine() -> dict[str, object]:
    spec = collabnix(size=2)
    spec["Properties"]["Flavor"]["Plugin"] = "flavor-mine"
    return spec


def test_an_object_is_served_until_the_lab_is_closed(tmp_path: Path) -> None:
    with Lab() as lab:
        lab.start("group")
        lab.serve(Vanilla(), "flavor-mine")
        lab.serve(FileInstances(tmp_path), "instance-file")
        lab.commit(mine())
        lab.wait("collabnix")
        assert len(list(tmp_path.glob("instance-*"))) == 2
        assert "flavor-mine" in lab.run("infrakit plugin ls")
        with pytest.raises(InUse, match="already running"):
            lab.start_plugin("flavor-vanilla", "flavor-mine")
    Lease(tmp_path).release()  # it is free


def test_a_file_is_started_as_a_process_and_stopped_like_any_plugin() -> None:
    with Lab() as lab:
        (lab.root / "mine.py").write_text(SCRIPT)
        lab.start("instance-file", "group")
        lab.start_script("mine.py", "flavor-mine")
        lab.commit(mine())
        lab.wait("collabnix")
        assert ["flavor-mine", "python mine.py", "running"] in list(lab.plugins())
        lab.stop_plugin("flavor-mine")
        assert not lab.socket("flavor-mine").exists()
        lab.start_script("mine.py", "flavor-mine")
        lab.kill_plugin("flavor-mine")
        assert lab.socket("flavor-mine").exists()


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("def broken(:\n", "did not start: SyntaxError"),
        ("import no_such_module\n", "did not start: ModuleNotFoundError"),
        (SCRIPT.replace("flavor-mine", "../mine"), "did not start: .*name"),
    ],
)
def test_a_file_that_does_not_start_says_why_in_one_line(script: str, says: str) -> None:
    with Lab() as lab:
        (lab.root / "mine.py").write_text(script)
        with pytest.raises(PluginUnavailable, match=says) as caught:
            lab.start_script("mine.py", "flavor-mine")
        assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_one_that_serves_another_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ikdemo.lab.host.event_collector.START_WITHIN", 1.5)
    with Lab() as lab:
        with pytest.raises(IkdemoError, match=r"no file 'mine\.py'"):
            lab.start_script("mine.py", "flavor-mine")
        (lab.root / "mine.py").write_text(SCRIPT)
        with pytest.raises(PluginUnavailable, match="nobody answers under that name"):
            lab.start_script("mine.py", "flavor-yours")
