"""The back end with a leader file: who leads, which epoch, and that a manager that was overtaken
writes nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec import Raw

from ikdemo.manager.backend import Kept, Term
from ikdemo.manager.global_spec import GlobalSpec
from ikdemo.manager.stores.os_store import OsBackend
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import CorruptState, Fenced, IkdemoError, PluginFailure, VersionConflict

T = TypeVar("T")
ONE = GlobalSpec().with_group(GroupSpec("g", Raw(b'{"a":1.0}')), "group-stateless")
TWO = ONE.with_group(GroupSpec("h", Raw(b"{}")), "group-stateless")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class Files:
    """A leader file and a store directory."""

    def __init__(self, root: Path) -> None:
        self.leader, self.store = root / "leader", root / "store"
        self.store.mkdir()

    def backend(self, name: str) -> OsBackend:
        return OsBackend(name, self.leader, self.store, 5.0)

    def look(self, backend: OsBackend) -> Term | None:
        return run(backend.look())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("text", ["m-1", "m-1\n", "\t m-1 \n\n"])
def test_who_is_named_leads_and_blanks_do_not_count(files: Files, text: str) -> None:
    files.leader.write_text(text)
    term = files.look(files.backend("m-1"))
    assert term is not None
    assert term.epoch == 1


@pytest.mark.parametrize("text", ["m-1\r\n", "m-10", "", "M-1", "m-1 m-2"])
def test_who_is_not_named_does_not_lead(files: Files, text: str) -> None:
    files.leader.write_bytes(text.encode())
    assert files.look(files.backend("m-1")) is None
    assert not (files.store / "leader.epoch").exists()


def test_an_epoch_stays_while_leadership_does_and_grows_with_each_change(files: Files) -> None:
    one, two = files.backend("m-1"), files.backend("m-2")
    epochs = []
    for name in ("m-1", "m-2", "m-1"):
        files.leader.write_text(name)
        for _ in range(2):
            terms = [files.look(one), files.look(two)]
            (held,) = [term for term in terms if term is not None]
            epochs.append(held.epoch)
    assert epochs == [1, 1, 2, 2, 3, 3]
    assert files.look(files.backend("m-1")).epoch == 4  # type: ignore[union-attr]


def test_what_is_saved_is_loaded_and_absent_is_empty(files: Files) -> None:
    files.leader.write_text("m-1")
    backend = files.backend("m-1")
    term = files.look(backend)
    assert term is not None
    kept = run(backend.load())
    assert kept == Kept(GlobalSpec(), None)
    kept = run(backend.save(ONE, kept, term))
    assert run(backend.load()) == kept
    assert run(backend.save(TWO, kept, term)).spec == run(backend.load()).spec == TWO
    assert sorted(path.name for path in files.store.iterdir()) == [
        "global.config",
        "leader.epoch",
        "leader.lock",
    ]


def test_a_leader_that_was_overtaken_saves_nothing(files: Files) -> None:
    one, two = files.backend("m-1"), files.backend("m-2")
    files.leader.write_text("m-1")
    term, kept = files.look(one), run(one.load())
    assert term is not None
    files.leader.write_text("m-2")
    later = files.look(two)
    assert later is not None
    with pytest.raises(Fenced, match="fenced: epoch 1 is over, 2 has begun"):
        run(one.save(ONE, kept, term))
    assert run(two.load()).spec == GlobalSpec()
    run(two.save(TWO, run(two.load()), later))
    with pytest.raises(Fenced):
        run(one.save(ONE, run(one.load()), term))


STOPPED = """
import asyncio, os, signal, sys
from pathlib import Path
from msgspec import Raw
from ikdemo.manager.stores.os_store import OsBackend
from ikdemo.spi.documents import GroupSpec

async def main():
    backend = OsBackend("m-1", Path(sys.argv[1]), Path(sys.argv[2]), 5.0)
    term, kept = await backend.look(), await backend.load()
    os.kill(os.getpid(), signal.SIGSTOP)  # between the check and the write
    try:
        await backend.save(kept.spec.with_group(GroupSpec("late", Raw(b"{}")), "p"), kept, term)
        print("saved")
    except Exception as error:
        print(error)

asyncio.run(main())
"""


def test_a_process_stopped_between_the_check_and_the_write_saves_nothing(files: Files) -> None:
    files.leader.write_text("m-1")
    command = [sys.executable, "-c", STOPPED, str(files.leader), str(files.store)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    files.leader.write_text("m-2")
    other = files.backend("m-2")
    term = files.look(other)
    assert term is not None
    run(other.save(TWO, run(other.load()), term))
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=100)
    assert said == "fenced: epoch 1 is over, 2 has begun\n"
    assert run(other.load()).spec == TWO


def test_what_another_program_wrote_is_not_written_over(files: Files) -> None:
    files.leader.write_text("m-1")
    backend = files.backend("m-1")
    term, kept = files.look(backend), run(backend.load())
    assert term is not None
    (files.store / "global.config").write_text("{}")
    with pytest.raises(VersionConflict, match="changed by another program"):
        run(backend.save(ONE, kept, term))
    assert (files.store / "global.config").read_text() == "{}"


def test_of_two_managers_of_one_name_the_latter_leads(files: Files) -> None:
    files.leader.write_text("m")
    first, second = files.backend("m"), files.backend("m")
    assert files.look(first) is not None
    held = files.look(second)
    for _ in range(2):
        with pytest.raises(PluginFailure, match="another manager that is called m, too"):
            files.look(first)
        assert files.look(second).epoch == held.epoch  # type: ignore[union-attr]
    files.leader.unlink()
    files.leader.write_text("m")  # a person says anew who leads
    assert files.look(first).epoch == 3  # type: ignore[union-attr]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "no such file or directory"),
        (Path.mkdir, "is a folder, not a file"),
        (make_fifo, "is a FIFO, not a file"),
        (lambda path: path.write_bytes(b"x" * 5000), "is larger than 4096 bytes"),
        (lambda path: path.symlink_to("nowhere"), "no such file or directory"),
    ],
)
def test_a_leader_file_that_cannot_be_read_is_one_sentence(
    files: Files, make: Any, why: str
) -> None:
    make(files.leader)
    with pytest.raises(IkdemoError, match=why) as refused:
        files.look(files.backend("m"))
    assert str(files.leader) in str(refused.value)


def test_a_leader_file_may_be_a_link(files: Files, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("m")
    files.leader.symlink_to("elsewhere")
    assert files.look(files.backend("m")) is not None


@pytest.mark.parametrize("text", ["", "seven", "-1", "1" * 20, "1.5"])
def test_an_epoch_that_is_no_number_is_corrupt_and_nobody_leads(files: Files, text: str) -> None:
    files.leader.write_text("m")
    (files.store / "leader.epoch").write_text(text)
    with pytest.raises(CorruptState, match=r"leader\.epoch does not hold a number"):
        files.look(files.backend("m"))
    assert (files.store / "leader.epoch").read_text() == text


@pytest.mark.parametrize(
    ("leader", "store", "said"),
    [
        ("missing", "store", "stat {leader}: no such file or directory; it names the manager"),
        ("store", "store", "file {leader} must be a file"),
        ("leader", "nostore", "stat {store}: no such file or directory"),
        ("leader", "leader", "file {store} must be a directory"),
    ],
)
def test_bad_places_are_refused_at_the_start(
    tmp_path: Path, leader: str, store: str, said: str
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "leader").write_text("m")
    backend = OsBackend("m", tmp_path / leader, tmp_path / store, 5.0)
    with pytest.raises(IkdemoError) as refused:
        run(backend.start())
    expected = said.format(leader=tmp_path / leader, store=tmp_path / store)
    assert str(refused.value).startswith(expected)


def test_saving_from_many_at_once_loses_nothing(files: Files) -> None:
    """Each guards what it read: of those that read the same, one is stored."""
    files.leader.write_text("m")
    backend = files.backend("m")
    term = files.look(backend)
    assert term is not None

    async def add(number: int) -> None:
        while True:
            kept = await backend.load()
            spec = kept.spec.with_group(GroupSpec(f"g{number}", Raw(b"{}")), "p")
            try:
                await backend.save(spec, kept, term)
                return
            except VersionConflict:
                continue

    async def add_all() -> GlobalSpec:
        await asyncio.gather(*(add(number) for number in range(8)))
        return (await backend.load()).spec

    assert len(run(add_all()).groups) == 8
