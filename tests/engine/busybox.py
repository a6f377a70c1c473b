"""A root file system of one program: Debian's busybox-static under all its names. Called by the
private engine for its image.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path


def static_busybox() -> Path | None:
    """Return a busybox that runs where there is no library; Debian's package ``busybox`` has one
    that does not.
    """
    found = shutil.which("busybox")
    if found is None or b"/ld-linux" in Path(found).read_bytes()[:4096]:
        return None
    return Path(found).resolve()


def root_file_system() -> bytes:
    """Return a root file system as a tar: busybox, a link to it for each of its names, and a place
    to write.
    """
    program = static_busybox()
    assert program is not None
    names = subprocess.run(
        [program, "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        tar.add(program, "bin/busybox")
        for name in names:
            if name != "busybox":
                entry = tarfile.TarInfo(f"bin/{name}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return packed.getvalue()
