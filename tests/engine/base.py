"""A stand-in for the image that the Dockerfile begins with, where no registry is asked: Debian with
its Python, nothing more.

Made of Debian packages from wherever this machine gets its own; what pip installs into it was
downloaded by this machine's pip, which knows its indexes and certificates, and is handed on by a
small web server. So nothing of the machine gets into the image, and the Dockerfile needs no word
about it. Called by the test of the lab's image.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import docker

SUITE, PYTHON = "bookworm", "3.11"
"""A Debian, and the Python it has."""
PACKAGES = "ca-certificates,python3,python3-pip"
PIP_CONF = """[global]
no-index = true
find-links = {address}
break-system-packages = true
"""


class Shelf(SimpleHTTPRequestHandler):
    """Hands out files, and does not talk about it."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served_wheels(directory: Path, wanted: Sequence[str]) -> Iterator[str]:
    """Download wheels with this machine's pip, and hand them out while the block runs; give the
    address.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--only-binary=:all:",
        "--python-version",
        PYTHON,
    ]
    done = subprocess.run(
        [*command, "--dest", str(directory), *wanted], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Shelf, directory=str(directory))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def make_base(client: docker.APIClient, name: str, room: Path, wheels: str) -> None:
    """Make an image of Debian whose pip finds its wheels at an address."""
    (room / "pip.conf").write_text(PIP_CONF.format(address=wheels))
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}"]
    # a mirror may stand still
    for option in ('Acquire::Check-Valid-Until "false"', 'Acquire::Check-Date "false"'):
        command.append(f"--aptopt={option}")
    for left_out in ("man", "doc", "locale"):  # as in other slim images
        command.append(f"--dpkgopt=path-exclude=/usr/share/{left_out}/*")
    command.append(f"--customize-hook=copy-in {room}/pip.conf /etc")
    command.append('--customize-hook=ln -s python3 "$1/usr/bin/python"')
    subprocess.run(
        [*command, SUITE, f"{room}/base.tar", f"deb {mirror()} {SUITE} main"],
        check=True,
        timeout=300,
    )
    repository, tag = name.split(":")
    client.import_image_from_file(
        f"{room}/base.tar", repository=repository, tag=tag, changes=["ENV LANG=C.UTF-8"]
    )


def mirror() -> str:
    """Return where this machine gets Debian's packages, or where everybody may."""
    asked = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"],
        capture_output=True,
        text=True,
    )
    found = [line.split()[0] for line in asked.stdout.splitlines() if line.endswith(f" {SUITE}")]
    return found[0] if found else "http://deb.debian.org/debian"
