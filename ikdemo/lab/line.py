"""A lab's line to its plugins: a thread that talks to them, serves those of this Python, and a record of all they tell.

Only here do the calls of a beginner's cell, or of a button, meet the asynchronous clients. A ``Bench`` opens one, and another
when it is reset; whatever looks at the record ends with its line.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ..rpc.peers import Peers
from ..spi.contracts import Plugin
from ..spi.errors import IkdemoError
from .background import Background
from .follow import Followers
from .process import PluginProcess
from .served import Served
from .timeline import Timeline

T = TypeVar("T")


class Line:
    """Open from the moment it is made until ``close``."""

    def __init__(self, plugin_dir: Path) -> None:
        self.record = Timeline()
        self.open = True
        self._plugin_dir = plugin_dir
        self._served: dict[str, Served] = {}
        self._background = Background()
        self.peers, self._followers = self.call(self._begin())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` in the line's thread and return its result; raises IkdemoError when the line is closed."""
        if not self.open:
            work.close()
            raise IkdemoError("This lab is closed. Make a new one: lab = Lab()")
        return self._background.call(work)

    def follow(self, processes: Iterable[PluginProcess]) -> None:
        """Wait until these plugins answer, and write down what they tell from now on."""
        self.call(self._followers.begin(processes))

    def serve(self, plugin: Plugin, name: str) -> None:
        """Serve a plugin object on a socket until the line is closed."""
        served = Served(plugin, self._plugin_dir / name)
        self.call(served.start())
        self._served[name] = served

    def serves(self, name: str) -> bool:
        """Say whether a plugin of this Python is served under this name."""
        return name in self._served

    def close(self) -> None:
        """Serve and follow nothing more, and end the thread; whoever waits for the record is woken."""
        self.call(self._end())
        self.open = False
        self._background.close()
        self.record.add([])

    async def _begin(self) -> tuple[Peers, Followers]:
        peers = Peers(self._plugin_dir)
        return peers, Followers(peers, self.record)

    async def _end(self) -> None:
        await self._followers.close()
        for served in self._served.values():
            await served.stop()
        await self.peers.close()
