"""Run notebooks 07 and 08 with engines and keep what they showed: ``PYTHONPATH=tests python
tests/notebooks/record.py [07] [08]``.

The engine of 07 is a private one, in Swarm mode, so that every row of the comparison is measured;
08 boots machines with engines of their own. A notebook is stored with its outputs; those of its
cells that need an engine become the recording that is shown where there is none.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import docker
from engine.private import IMAGE, PrivateEngine

from ikdemo.lab.docker.comparison import MIME, read
from ikdemo.lab.docker.machine_access import VARIABLE
from ikdemo.lab.docker.recording import RECORDINGS, marked_cells, say_day

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LARGEST = 150_000
"""Bytes of the largest picture that is kept; of a larger one, its words are."""


def showed(cell: dict[str, Any], day: str) -> list[dict[str, str]]:
    """Return what a cell showed, part by part: kinds and texts. What it called live is called
    recorded.
    """
    parts = []
    for output in cell["outputs"]:
        data = output.get("data") or {"text/plain": output.get("text", "")}
        texts = {mime: "".join(text) for mime, text in data.items()}
        if MIME in texts:
            compared = read(texts[MIME]).as_recorded(day)
            texts = {
                "text/plain": repr(compared),
                "text/html": compared._repr_html_(),
                **compared._repr_mimebundle_(),
            }
        texts.pop("image/png", None)  # it is in the page, too
        parts.append(
            {
                mime: text
                for mime, text in texts.items()
                if mime == "text/plain" or len(text) <= LARGEST
            }
        )
    return parts


def recording(notebook: Path, told: dict[str, str]) -> dict[str, Any]:
    """Return a notebook's stored outputs as a recording; ``told``: when, on what and by whom."""
    marked = marked_cells(json.loads(notebook.read_text())["cells"])
    return {
        **told,
        "cells": {name: showed(cell, say_day(told["date"])) for name, cell in marked.items()},
    }


def run(notebook: Path, **environment: str) -> None:
    """Run a notebook for real, and store what it showed."""
    command = [sys.executable, str(Path(__file__).with_name("refresh.py")), str(notebook)]
    subprocess.run(command, env={**os.environ, **environment}, check=True)


def run_with_an_engine(notebook: Path) -> str:
    """Run a notebook beside a private engine that manages a swarm; return its version."""
    engine = PrivateEngine()
    try:
        engine.start()
        engine.load_image()
        client = docker.APIClient(engine.host, timeout=60)
        client.init_swarm(advertise_addr="127.0.0.1")
        version: str = client.version()["Version"]
        client.close()
        with engine.network():
            run(notebook, DOCKER_HOST=engine.host, IKDEMO_IMAGE=IMAGE)
        return version
    finally:
        engine.close()


def run_with_machines(notebook: Path) -> str:
    """Run a notebook that boots machines; return the version of their engines."""
    run(notebook, **{VARIABLE: "yes"})
    said = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2].rstrip(",")


WAYS = {"07-docker": run_with_an_engine, "08-swarm": run_with_machines}


def record(name: str) -> None:
    """Run one notebook, and keep what it showed."""
    notebook = NOTEBOOKS / f"{name}.ipynb"
    before = os.getloadavg()[0]
    version = WAYS[name](notebook)
    system, after = platform.freedesktop_os_release(), os.getloadavg()[0]
    machine = (
        f"{os.cpu_count()} processors, {system['ID'].title()} {system['VERSION_ID']}, load "
        f"{before:.1f} to {after:.1f}"
    )
    told = {"date": str(date.today()), "engine": version, "machine": machine}
    text = json.dumps(
        recording(notebook, {**told, "by": "this project"}), indent=1, ensure_ascii=False
    )
    (RECORDINGS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["07", "08"]:
        record(next(name for name in WAYS if name.startswith(wanted)))
