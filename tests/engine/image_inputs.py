"""What decides whether the lab's image can be built and how it behaves, and whether that has
changed since it was last built and tested.

The package itself is tested everywhere else; the image adds a base, the dependencies, and how
JupyterLab is started. ``make image`` builds and tests it, then records a digest of these files in
``image.sha256``; as long as it is theirs, other runs do not build the image and say so.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("image.sha256")
FILES = (
    "Dockerfile",
    ".dockerignore",
    "binder/requirements.txt",
    "ikdemo/cli/jupyter.py",
    "tests/engine/base.py",
    "tests/engine/test_lab_image.py",
)
PROJECT = ("name", "requires-python", "license-files")
"""What the image needs to know of ``[project]``: the dependencies are those of requirements.txt,
and that a program is installed for each script is tested with the wheel.
"""
ALWAYS = ("IKDEMO_IMAGE_TEST", "IKDEMO_SOAK")


def digest() -> str:
    """Return the digest of everything that the image's own tests are about."""
    made = hashlib.sha256()
    for name in FILES:
        made.update((ROOT / name).read_bytes())
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = [told["build-system"], told["tool"]["hatch"]]
    wheel += [told["project"][name] for name in PROJECT]
    made.update(json.dumps(wheel, sort_keys=True).encode())
    return made.hexdigest()


def not_built() -> str:
    """Say why the image is not built in this run, or nothing if it is."""
    if any(os.environ.get(name) for name in ALWAYS):
        return ""
    if RECORD.exists() and RECORD.read_text().strip() == digest():
        return (
            "not built, because nothing that it is made of has changed since it was tested; "
            "make image builds it"
        )
    if not any(os.environ.get(name) for name in ("CI", "IKDEMO_CI")):
        return "not built here, which takes minutes and the network; make image builds it"
    return ""


if __name__ == "__main__":
    RECORD.write_text(f"{digest()}\n")
