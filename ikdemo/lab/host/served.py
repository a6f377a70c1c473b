"""A plugin object on a socket, served from the lab's background thread for as long as the lab lives. Made by ``Line`` only."""

from __future__ import annotations

from pathlib import Path

from ...rpc.event_ring import Ring
from ...rpc.server import Server
from ...spi.contracts import Lifecycle, Plugin


class Served:
    """Both ends of a plugin's life here: its own beginning and end, and its socket's."""

    def __init__(self, plugin: Plugin, path: Path) -> None:
        self._plugin, self._ring = plugin, Ring(path.name)
        self._server = Server(plugin, path, self._ring)

    async def start(self) -> None:
        """Answer from now on; raises InUse when a live plugin has the name."""
        if isinstance(self._plugin, Lifecycle):
            await self._plugin.start(self._ring.append)
        try:
            await self._server.start()
        except BaseException:
            await self._end()
            raise

    async def stop(self) -> None:
        """Answer no more; what is being answered gets a second."""
        await self._server.stop(grace=1.0)
        await self._end()

    async def _end(self) -> None:
        if isinstance(self._plugin, Lifecycle):
            await self._plugin.stop()
