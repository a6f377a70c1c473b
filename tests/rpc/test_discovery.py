"""The plugin directory: where it is, what in it is a plugin, and when it cannot be trusted."""

from __future__ import annotations

import logging
import os
import pwd
import socket
from pathlib import Path

import pytest

from ikdemo.rpc.discovery import check_length, ensure_dir, find, listing, plugin_dir
from ikdemo.spi.errors import PluginNotFound, SpecError


def bind(path: Path) -> None:
    """Leave a stale socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def test_the_environment_names_the_directory_and_the_account_its_default() -> None:
    assert plugin_dir({"INFRAKIT_PLUGINS_DIR": "relative/dir"}) == Path("relative/dir")
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    for environ in ({}, {"INFRAKIT_PLUGINS_DIR": ""}, {"HOME": "/elsewhere"}):
        assert plugin_dir(environ) == home / ".infrakit" / "plugins"


def test_only_sockets_are_plugins(short_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("b", "a", "B"):
        bind(short_dir / name)
    (short_dir / "folder").mkdir()
    (short_dir / "file").touch()
    (short_dir / "link").symlink_to("a")
    with caplog.at_level(logging.WARNING):
        found = listing(short_dir)
    assert found == [(name, short_dir / name) for name in ("B", "a", "b")]
    assert [record.getMessage() for record in caplog.records] == [
        f"Loading plugin err= File is not a socket: {short_dir / name}" for name in ("file", "link")
    ]


def test_a_missing_directory_holds_no_plugins(short_dir: Path) -> None:
    assert listing(short_dir / "none") == []


@pytest.mark.parametrize(
    "name", ["", "none", "A", "folder", "file", "link", "../a", "folder/../a", "\0", "x" * 300]
)
def test_a_plugin_is_found_by_its_exact_name(short_dir: Path, name: str) -> None:
    bind(short_dir / "a")
    (short_dir / "folder").mkdir()
    (short_dir / "file").touch()
    (short_dir / "link").symlink_to("a")
    assert find(short_dir, "a") == short_dir / "a"
    with pytest.raises(PluginNotFound) as caught:
        find(short_dir, name)
    assert str(caught.value) == f"Plugin not found: {name}"


def test_the_directory_is_made_for_its_owner_alone(short_dir: Path) -> None:
    made = ensure_dir(short_dir / "a" / "b")
    assert made == short_dir / "a" / "b"
    assert made.stat().st_mode & 0o777 == 0o700
    assert ensure_dir(made) == made


def test_directories_that_cannot_be_trusted_are_refused(short_dir: Path) -> None:
    (short_dir / "file").touch()
    with pytest.raises(SpecError, match="is a file"):
        ensure_dir(short_dir / "file")
    with pytest.raises(SpecError, match="Not a directory"):
        ensure_dir(short_dir / "file" / "below")
    short_dir.chmod(0o777)
    with pytest.raises(SpecError, match="may be written by everybody; run: chmod 700"):
        ensure_dir(short_dir)
    short_dir.chmod(0o700)


def test_a_directory_of_somebody_else_is_refused(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(SpecError, match=f"belongs to uid {owner}, not to you"):
        ensure_dir(short_dir)


def test_a_path_too_long_for_a_socket_is_said_with_its_length() -> None:
    check_length(Path("/" + "x" * 106))
    with pytest.raises(SpecError, match="has 108 bytes and may have 107"):
        check_length(Path("/" + "x" * 107))
    with pytest.raises(SpecError, match="has 109 bytes"):
        check_length(Path("/" + "é" * 54))
