"""Files that are there wholly or not at all, whoever reads and whenever the writer is killed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ikdemo.disk import Lease, check_name, clear_leftovers, read_regular, write_atomic
from ikdemo.spi.errors import CorruptState, PluginFailure, SpecError

WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from ikdemo.disk import write_atomic
for serial in itertools.count():
    write_atomic(Path(sys.argv[1]), "file", bytes([serial % 251]) * 300_000)
    if serial == 0:
        print("writing", flush=True)
"""


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_readers_never_see_a_part_and_a_killed_writer_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"writing\n"
        for _ in range(300):
            content = (tmp_path / "file").read_bytes()
            assert len(content) == 300_000 and len(set(content)) == 1
        os.kill(writer.pid, signal.SIGKILL)
    assert len((tmp_path / "file").read_bytes()) == 300_000
    clear_leftovers(tmp_path)
    assert names(tmp_path) == ["file"]


def test_only_temporary_files_of_ours_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".ikdemo-12-3.tmp").touch()
    for kept in (".ikdemo-12-3.tmp.bak", ".hidden", "instance-1", "ikdemo-1-1.tmp"):
        (tmp_path / kept).touch()
    (tmp_path / ".ikdemo-1-1.tmp").mkdir()
    clear_leftovers(tmp_path)
    assert names(tmp_path) == [
        ".hidden",
        ".ikdemo-1-1.tmp",
        ".ikdemo-12-3.tmp.bak",
        "ikdemo-1-1.tmp",
        "instance-1",
    ]


@pytest.mark.parametrize("durable", [False, True])
def test_a_written_file_has_its_mode_and_is_recognised_by_what_was_returned(
    tmp_path: Path, durable: bool
) -> None:
    lease = Lease(tmp_path)
    written = write_atomic(lease.fd, "a", b"one", mode=0o600, durable=durable)
    there = (tmp_path / "a").stat()
    assert stat.S_IMODE(there.st_mode) == 0o600
    assert (there.st_ino, there.st_mtime_ns, there.st_size) == (
        written.st_ino,
        written.st_mtime_ns,
        written.st_size,
    )
    write_atomic(tmp_path, "a", b"two", durable=durable)
    assert (tmp_path / "a").read_bytes() == b"two" and names(tmp_path) == ["a"]
    lease.release()


def test_a_link_in_the_place_of_the_file_is_replaced_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a").symlink_to(tmp_path / "victim")
    write_atomic(inside, "a", b"ours")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (inside / "a").read_bytes() == b"ours" and not (inside / "a").is_symlink()


def test_what_the_system_refuses_is_said_with_the_path_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PluginFailure, match=r"^open .*/gone: no such file or directory$"):
        write_atomic(tmp_path / "gone", "a", b"")
    (tmp_path / "a").mkdir()
    with pytest.raises(PluginFailure, match=r"^write .*/a: is a directory$"):
        write_atomic(tmp_path, "a", b"x")
    assert names(tmp_path) == ["a"]


def test_reading_takes_regular_files_of_a_sane_size_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    lease = Lease(tmp_path)
    assert read_regular(lease.fd, "file", 5)[0] == b"12345"
    for name, limit, what in [
        ("file", 4, "is larger than 4 bytes"),
        ("folder", 9, "is a folder, not a file"),
        ("link", 9, "is a symbolic link, not a file"),
        ("fifo", 9, "is a FIFO, not a file"),
    ]:
        with pytest.raises(CorruptState, match=f"^{what}$"):
            read_regular(lease.fd, name, limit)
    with pytest.raises(FileNotFoundError):
        read_regular(lease.fd, "missing", 9)
    lease.release()


@pytest.mark.parametrize("name", ["a", "instance-9127509994029110114", "A.b_c-d", "x" * 128])
def test_plain_names_may_become_files(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "../victim", "a/b", "a\n", "a\0", "é", "-rf", "x" * 129, "\udc80"],
)
def test_other_names_are_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(
        SpecError, match=r"^'.*' cannot be a file's name: expected 1 to 128 letters"
    ):
        check_name(name)
