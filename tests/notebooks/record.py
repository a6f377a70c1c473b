"""Run notebook 07 with an engine and keep what it showed: ``PYTHONPATH=tests python
tests/notebooks/record.py``.

The engine is a private one, in Swarm mode, so that every row of the comparison is measured. The
notebook is stored with its outputs; those of its cells that need an engine become the recording
that is shown where there is none.
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
from ikdemo.lab.docker.recording import RECORDINGS, marked_cells, say_day

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "07-docker.ipynb"
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


def main() -> None:
    before, engine = os.getloadavg()[0], PrivateEngine()
    try:
        engine.start()
        engine.load_image()
        client = docker.APIClient(engine.host, timeout=60)
        client.init_swarm(advertise_addr="127.0.0.1")
        version = client.version()["Version"]
        client.close()
        environment = {**os.environ, "DOCKER_HOST": engine.host, "IKDEMO_IMAGE": IMAGE}
        with engine.network():
            subprocess.run(
                [sys.executable, str(Path(__file__).with_name("refresh.py")), str(NOTEBOOK)],
                env=environment,
                check=True,
            )
    finally:
        engine.close()
    system, after = platform.freedesktop_os_release(), os.getloadavg()[0]
    machine = (
        f"{os.cpu_count()} processors, {system['ID'].title()} {system['VERSION_ID']}, load "
        f"{before:.1f} to {after:.1f}"
    )
    told = {"date": str(date.today()), "engine": version, "machine": machine}
    text = json.dumps(
        recording(NOTEBOOK, {**told, "by": "this project"}), indent=1, ensure_ascii=False
    )
    (RECORDINGS / f"{NOTEBOOK.stem}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
