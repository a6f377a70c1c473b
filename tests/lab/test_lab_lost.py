"""A lab whose directory was taken away says so, whatever is asked, and the first cell gives another
one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ikdemo.instance import procfs
from ikdemo.lab import Lab, collabnix
from ikdemo.lab.host.workspace import home
from ikdemo.rpc.discovery import ENVIRONMENT
from ikdemo.spi.errors import IkdemoError


@pytest.fixture
def runtime(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the runtime directory, which ends with the login."""
    made = short_dir / "run"
    made.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(made))
    monkeypatch.setattr(Lab, "_of_the_notebook", None)
    yield made
    Lab.fresh().close()


def lost(runtime: Path) -> Lab:
    lab = Lab.fresh()
    lab.start()
    lab.commit(collabnix())
    lab.wait("collabnix")
    # at once, as an unmount does it: nothing heals half of it
    runtime.rename(runtime.with_name("gone"))
    return lab


ASKED: list[Callable[[Lab], object]] = [
    lambda lab: lab.describe("collabnix"),
    lambda lab: lab.start(),
    lambda lab: lab.start_plugin("group"),
    lambda lab: lab.start_again("group"),
    lambda lab: lab.start_script("mine.py", "mine"),
    lambda lab: lab.mute("instance-file", under="quiet"),
    lambda lab: lab.kill("collabnix", 2),
    lambda lab: lab.wait("collabnix"),
    lambda lab: lab.run("ls"),
    lambda lab: lab.reset(),
]


def test_every_verb_says_that_the_directory_was_removed_and_the_first_cell_gives_another_lab(
    runtime: Path,
) -> None:
    lab = lost(runtime)
    for ask in ASKED:
        with pytest.raises(IkdemoError) as refused:
            ask(lab)
        said = (
            f"The directory of this lab was removed, and all that was in it: {lab.root}. Open "
            "a fresh one: run the first code"
        )
        assert str(refused.value).startswith(said)
        assert not getattr(refused.value, "__notes__", ())
    assert "The directory of this lab was removed" in repr(lab.check("collabnix"))
    another = Lab.fresh()
    assert another is not lab
    assert len(another.start()) == 3
    shutil.rmtree(runtime.with_name("gone"))
    seeing = [
        told
        for _, told in procfs.with_variable(ENVIRONMENT)
        if str(lab.plugin_dir).encode() in told.values()
    ]
    assert seeing == [], "what the lost lab had started has ended"


def test_without_any_temporary_directory_the_sentence_is_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(
        IkdemoError,
        match="A lab needs a writable temporary directory with a short name, such as /tmp; "
        "set TMPDIR",
    ):
        home()
