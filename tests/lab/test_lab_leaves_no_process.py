"""A lab that is closed leaves no process of its instances behind, even if their plugin was killed
and never came back.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from marked import marked

from ikdemo import Lab
from ikdemo.lab.teaching.specs import collabnix_processes


@pytest.mark.parametrize("how", ["closed", "its instance plugin killed first"])
def test_a_closed_lab_leaves_no_server_behind(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with Lab() as lab:
        lab.start("instance-process", "flavor-probe", "group")
        lab.commit(collabnix_processes(size=3))
        register = lab.plugin_dir / "instance-process.instances"
        deadline = time.monotonic() + 100
        while len(marked(register)) != 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(marked(register)) == 3
        if how != "closed":
            lab.kill_plugin("instance-process")
            assert len(marked(register)) == 3
    deadline = time.monotonic() + 100
    while marked(register) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert marked(register) == []
