"""Finds plugins: a plugin is a socket in the plugin directory, and its file name is its name.

Where the directory is, whether it can be trusted and what in it counts as a plugin is decided only
here. Nothing is cached: a plugin may come, go and come back between two calls.
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path

from ..spi.errors import PluginNotFound, SpecError

log = logging.getLogger(__name__)

ENVIRONMENT = "INFRAKIT_PLUGINS_DIR"
LONGEST_PATH = 107
"""Bytes that the path of a Unix socket may have on Linux."""
UNREADY = "~"
"""How the name of a socket ends that does not listen yet; no plugin's name does."""


def plugin_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the plugin directory: ``$INFRAKIT_PLUGINS_DIR``, else ``.infrakit/plugins`` in the
    account's home.

    The home is that of the account, not ``$HOME``, which is used only for accounts without an
    entry. Creates nothing.
    """
    environ = os.environ if environ is None else environ
    if chosen := environ.get(ENVIRONMENT):
        return Path(chosen)
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = environ.get("HOME", "/")
    return Path(home) / ".infrakit" / "plugins"


def ensure_dir(path: Path) -> Path:
    """Make the plugin directory with its parents, mode 0700, or check that the one there is safe to
    use; return it.

    Raises SpecError when it cannot be made, is not a directory, belongs to another user, or may be
    written by everybody: who can write there can put a plugin of their own in the place of yours.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except FileExistsError:
        raise SpecError(
            f"the plugin directory {path} is a file; set {ENVIRONMENT} to a directory"
        ) from None
    except OSError as error:
        raise SpecError(f"the plugin directory {path} cannot be used: {error.strerror}") from None
    if found.st_uid != os.geteuid():
        raise SpecError(
            f"the plugin directory {path} belongs to uid {found.st_uid}, not to you (uid "
            f"{os.geteuid()})"
        )
    if found.st_mode & stat.S_IWOTH:
        raise SpecError(
            f"the plugin directory {path} may be written by everybody; run: chmod 700 {path}"
        )
    return path


def listing(directory: Path) -> list[tuple[str, Path]]:
    """Return name and socket path of every plugin, sorted by name; none when there is no such
    directory.

    A socket whose plugin has died is listed as well, one that does not listen yet is not. Folders
    are skipped; anything else is skipped with a warning.
    """
    try:
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SpecError(
            f"the plugin directory {directory} cannot be read: {error.strerror}"
        ) from None
    found = []
    for path in entries:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISSOCK(mode):
            if not path.name.endswith(UNREADY):
                found.append((path.name, path))
        elif not stat.S_ISDIR(mode):
            log.warning("Loading plugin err= File is not a socket: %s", path)
    return found


def find(directory: Path, name: str) -> Path:
    """Return the socket path of a plugin; raises PluginNotFound when there is no socket of exactly
    this name.
    """
    path = directory / name
    try:
        if name and path.parent == directory and stat.S_ISSOCK(path.lstat().st_mode):
            return path
    except (OSError, ValueError):
        pass
    raise PluginNotFound(name)


def check_length(path: Path) -> None:
    """Raise SpecError when ``path`` is longer than a Unix socket's may be."""
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise SpecError(
            f"the socket path {path} has {length} bytes and may have {LONGEST_PATH}: "
            f"set {ENVIRONMENT} to a shorter directory, or give the plugin a shorter name"
        )


SocketIdentity = tuple[int, int, int]


def identity(path: Path) -> SocketIdentity | None:
    """Tell one socket from the one that replaces it when its plugin is started again; None when
    there is none.
    """
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns
