"""Directories and files: how they are owned, written and read. Every call blocks its thread.

- ``lease``: a directory, or a lock file in it, has one owner.
- ``whole_files``: a file is there wholly or not at all; reading one follows no link.
- ``paths``: names that may become files, paths as text, directories held open.

Lock and lease go with their process; the kernel gives them back.
"""

from __future__ import annotations

from .lease import Lease, locked
from .paths import check_name, opened, path_of, refusal, shown, sync_directory
from .whole_files import (
    check_writable,
    clear_leftovers,
    keep_last,
    read_regular,
    write_atomic,
)

__all__ = [
    "Lease",
    "check_name",
    "check_writable",
    "clear_leftovers",
    "keep_last",
    "locked",
    "opened",
    "path_of",
    "read_regular",
    "refusal",
    "shown",
    "sync_directory",
    "write_atomic",
]
