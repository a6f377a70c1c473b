"""What Docker's own commands do to containers, past all plugins: kill, remove, stop, pause. Called
by ``FaultInjection``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...engine.client import EngineClient
from ...reconcile.analysis.service import ASKED, GONE, SILENT
from ...spi.errors import IkdemoError

PATIENCE = 20.0
"""Seconds until a command without an answer is given up."""
AT_ONCE = 8
BLOWS: dict[str, Callable[[Any, str], object]] = {
    "kill": lambda api, name: api.kill(name),
    "rm -f": lambda api, name: api.remove_container(name, force=True, v=True),
    "stop": lambda api, name: api.stop(name),
    "pause": lambda api, name: api.pause(name),
}
"""What may follow the word ``docker``, and what the engine is asked then."""
EFFECTS = {"kill": GONE, "rm -f": GONE, "stop": ASKED, "pause": SILENT}
"""What each does to an instance, as the code of the fault that is recorded: one that is stopped may
take its time to end.
"""


def command_of(command: str) -> Callable[[Any, str], object]:
    """Return what a command asks of the engine; raises IkdemoError when it is none of ours."""
    if command not in BLOWS:
        raise IkdemoError(f"There is no docker {command!r} here; there are: {', '.join(BLOWS)}")
    return BLOWS[command]


def send_command(blow: Callable[[Any, str], object], names: Sequence[str]) -> None:
    """Strike containers all at the same time, and wait until the engine has done it; raises what it
    refuses.
    """
    client = EngineClient(PATIENCE, AT_ONCE)
    try:
        with ThreadPoolExecutor(AT_ONCE) as blows:
            list(blows.map(lambda name: client.ask(lambda api: blow(api, name)), names))
    finally:
        client.forget()
