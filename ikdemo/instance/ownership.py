"""Whose instances are: the mark of a plugin's directory, and the variables by which a process that
was started for an instance says so.

Where a directory is says nothing about whose processes they are, for directories are moved and
mounted over: its mark is a random text, kept with it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets

from .. import disk
from ..spi.errors import CorruptState, PluginFailure

MARK = "IKDEMO_INSTANCES"
"""Environment variable of every instance: where its plugin's directory was when it began. That
proves nothing.
"""
OWNER = "IKDEMO_OWNER"
"""Environment variable of every instance: the mark of its plugin's directory. With INSTANCE_ID it
tells whose a process is.
"""
_ATTRIBUTE, _FILE = "user.ikdemo.owner", ".owner"
"""Where a directory's mark is: an extended attribute of the directory, or a file in it where there
are no attributes.
"""
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENOSYS)
_MARK = re.compile(r"[0-9a-f]{32}")


def begin_owner(directory: int) -> str:
    """Give an open directory a mark, and return it; raises PluginFailure."""
    owner = secrets.token_hex(16)
    try:
        os.setxattr(directory, _ATTRIBUTE, owner.encode())
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise disk.refusal("mark", disk.path_of(directory), error) from None
        disk.write_atomic(directory, _FILE, owner.encode(), mode=0o600)
    return owner


def read_owner(directory: int) -> str:
    """Return the mark of an open directory; nothing where there is none. Raises
    PluginFailure.
    """
    text = _attribute(directory)
    try:
        text = text or disk.read_regular(directory, _FILE, 100)[0]
    except FileNotFoundError:
        return ""
    except (OSError, CorruptState) as error:
        raise PluginFailure(
            f"cannot tell whose {disk.path_of(directory)} is: {_FILE} {error}"
        ) from None
    owner = text.decode("ascii", "replace").strip()
    if not _MARK.fullmatch(owner):
        raise PluginFailure(
            f"{disk.path_of(directory)} has a mark that is none; remove {_FILE} or {_ATTRIBUTE} "
            "to begin another"
        )
    return owner


def _attribute(directory: int) -> bytes:
    try:
        return os.getxattr(directory, _ATTRIBUTE)
    except OSError as error:
        if error.errno in (errno.ENODATA, *_NO_ATTRIBUTES):
            return b""
        raise disk.refusal("read the mark of", disk.path_of(directory), error) from None
