"""An instance plugin as somebody writes it who has not read about tags: it shows all that there is,
whatever it is asked for.

Run by ``files`` as a program: ``unfiltered.py --dir FOLDER --name NAME``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from ikdemo.assembly import run
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.contracts import Interface
from ikdemo.spi.documents import Description


class Unfiltered(FileInstances):
    """The file plugin without filters."""

    interface: Interface = "Instance"
    offers = frozenset({"ConstantLife", "Slots"})

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        return await super().describe_instances({}, slots)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--exit-with-stdin", action="store_true")
    told = parser.parse_args()
    sys.exit(
        run(
            lambda lookup: Unfiltered(told.dir),
            name=told.name,
            exit_with_stdin=told.exit_with_stdin,
        )
    )
