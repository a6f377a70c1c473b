"""The store of group specs: durable, owned by one process, and never trusted blindly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from ikdemo.group.store import Record, Store
from ikdemo.reconcile.model import BackoffState, Expected
from ikdemo.spi.documents import Allocation, GroupProperties, Health, PluginSpec
from ikdemo.spi.errors import CorruptState, InUse
from ikdemo.spi.plans import ObservedInstance

PROPERTIES = GroupProperties(
    PluginSpec("instance-file", Raw(b'{"Note":1.0}')), PluginSpec("flavor-vanilla"), Allocation(5)
)
RECORD = Record("collabnix", PROPERTIES, rolls=True)


def reopened(directory: Path) -> list[Record]:
    store = Store(directory)
    try:
        return store.open()
    finally:
        store.close()


def saved(directory: Path, *records: Record) -> Path:
    store = Store(directory)
    store.open()
    for record in records:
        store.save(record)
    store.close()
    return directory


def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    marked = Record("other", PROPERTIES, destroying=True, paused=True)
    assert sorted(r.id for r in reopened(saved(tmp_path / "s", RECORD, marked))) == [
        "collabnix",
        "other",
    ]
    again = {r.id: r for r in reopened(tmp_path / "s")}
    assert again["other"] == marked
    assert bytes(again["collabnix"].properties.instance.properties) == b'{"Note":1.0}'


def test_a_record_of_before_slots_were_given_up_can_still_be_read(tmp_path: Path) -> None:
    directory = saved(
        tmp_path / "s",
        msgspec.structs.replace(RECORD, backoffs={"0": BackoffState(4, 1000.5, "no room")}),
    )
    (path,) = directory.glob("*.json")
    text = path.read_text()
    assert ',"futile":0' in text
    path.write_text(text.replace(',"futile":0', ""))
    (record,) = reopened(directory)
    assert record.backoffs == {"0": BackoffState(4, 1000.5, "no room", unproductive=0)}


OF_BEFORE = Path(__file__).with_name("state_0_1")
"""What version 0.1.0 stored: a paused group with all that a loop remembers, one that is being
destroyed, one that was freed.
"""


def test_a_state_directory_of_the_version_before_is_opened_and_written_back(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    shutil.copytree(OF_BEFORE, directory)
    before = {path.name: path.read_bytes() for path in OF_BEFORE.glob("*.json")}
    store = Store(directory, "5c4f7f4e-boot")
    records = {record.id: record for record in store.open()}
    for record in records.values():
        store.save(record)
    store.close()
    assert {path.name: path.read_bytes() for path in directory.glob("*.json")} == before
    web = records["web"]
    assert (web.rolls, web.paused, web.updating) == (True, True, "tYSrsyCNKfkRHZAVVs8WJZKtsW0=")
    assert (records["pets/\u00e4"].destroying, records["free"].freed) == (True, True)
    assert web.good and b'"one"' in bytes(web.good.instance.properties)
    assert web.backoffs == {
        "0": BackoffState(4, 9000.5, "no room", refused=True),
        "1": BackoffState(2, 0.0, "the spec is refused", terminal=True),
        "2": BackoffState(9, 0.0, "instance vm-7 died: exit status 1", unproductive=9),
        "3": BackoffState(3, 77.0, "", storm=2),
        "vm-9": BackoffState(1, 120.0, "nobody answers", unreachable=True),
    }
    assert web.expected == {"1": Expected(30.0, "vm-12", None, "sha-two"), "2": Expected(31.5)}
    assert web.members == {
        "vm-7": ObservedInstance("vm-7", slot="2", sha="sha-one"),
        "vm-8": ObservedInstance("vm-8", "a", "a#0", health=Health.UNHEALTHY),
    }


def test_waits_of_the_version_before_are_over_after_a_boot(tmp_path: Path) -> None:
    shutil.copytree(OF_BEFORE, tmp_path / "s")
    (web,) = (record for record in reopened(tmp_path / "s") if record.id == "web")
    assert {(key, one.not_before) for key, one in web.backoffs.items()} == {
        (key, 0.0) for key in ("0", "1", "2", "3", "vm-9")
    }
    assert (web.expected, sorted(web.members)) == ({}, ["vm-7", "vm-8"])


@given(st.text(min_size=1))
def test_any_text_can_be_a_group_id(tmp_path_factory: pytest.TempPathFactory, group: str) -> None:
    directory = saved(tmp_path_factory.mktemp("s"), Record(group, PROPERTIES))
    assert [record.id for record in reopened(directory)] == [
        group.encode("utf-8", "replace").decode()
    ]


def test_a_removed_group_stays_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open()
    store.save(RECORD)
    store.remove(RECORD.id)
    store.remove("never there")
    store.close()
    assert reopened(tmp_path) == []


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b'{"id":"collabnix"}', b'{"id":"x","properties":{},"format":1}', b"\0\0\0"],
)
def test_a_corrupt_file_is_refused_by_name_and_left_alone(tmp_path: Path, damage: bytes) -> None:
    saved(tmp_path, RECORD)
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(damage)
    with pytest.raises(CorruptState, match=str(path)) as caught:
        reopened(tmp_path)
    assert "move it away" in str(caught.value)
    assert path.read_bytes() == damage


def test_the_last_good_copy_is_kept_and_named_and_can_take_the_place(tmp_path: Path) -> None:
    saved(tmp_path, RECORD, Record("collabnix", PROPERTIES, paused=True))
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(b"{")
    last = Path(f"{path}.last")
    with pytest.raises(CorruptState, match=f"or put {last} in its place"):
        reopened(tmp_path)
    last.rename(path)
    assert reopened(tmp_path) == [RECORD]


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, Record("collabnix", PROPERTIES, format=99))
    with pytest.raises(CorruptState, match="newer version"):
        reopened(tmp_path)


def test_a_file_under_another_groups_name_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, RECORD)
    (path,) = tmp_path.glob("*.json")
    path.rename(path.with_name("0" * 32 + ".json"))
    with pytest.raises(CorruptState, match="another file"):
        reopened(tmp_path)


OWNER = """
import sys, pathlib
from ikdemo.group.store import Store
store = Store(pathlib.Path(sys.argv[1]))
store.open()
print("open", flush=True)
sys.stdin.read()
"""


def test_a_second_owner_is_refused_by_pid_and_a_dead_ones_place_is_free_at_once(
    tmp_path: Path,
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(InUse, match=f"in use by pid {owner.pid}"):
            reopened(tmp_path)
        owner.kill()
        owner.wait()
        assert reopened(tmp_path) == []


def test_what_a_killed_writer_left_half_written_is_cleared(tmp_path: Path) -> None:
    saved(tmp_path, RECORD)
    leftover = tmp_path / f".ikdemo-{os.getpid()}-0.tmp"
    leftover.write_bytes(b"{")
    assert [record.id for record in reopened(tmp_path)] == ["collabnix"]
    assert not leftover.exists()


def test_a_record_is_flushed_before_anybody_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill shows nothing of this, a power cut would: the file is flushed, then named, then its
    directory is flushed.
    """
    did: list[str] = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (did.append("flush"), fsync(fd))[1])
    monkeypatch.setattr(
        os, "rename", lambda *names, **how: (did.append("name"), rename(*names, **how))[1]
    )
    saved(tmp_path / "s", RECORD)
    assert did[-3:] == ["flush", "name", "flush"]


def test_a_group_is_forgotten_durably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut brings back would be a group again: its files go first, then the directory
    is flushed.
    """
    store = Store(tmp_path)
    store.open()
    store.save(RECORD)
    did: list[str] = []
    fsync, unlink = os.fsync, os.unlink

    def flushed(fd: int) -> None:
        did.append(f"flush {Path(f'/proc/self/fd/{fd}').readlink().name}")
        fsync(fd)

    def removed(path: os.PathLike[str] | str, **how: object) -> None:
        did.append(f"remove {Path(path).suffix}")
        unlink(path, **how)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "unlink", removed)
    store.remove(RECORD.id)
    assert "remove .json" in did
    assert did[-1] == f"flush {tmp_path.name}"
    store.close()
