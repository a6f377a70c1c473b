"""Other plugins by name: the lookup that a group is handed, over sockets.

Connections are pooled and handshakes remembered per name; how a stream of events survives restarts of its plugin is decided
only here. Made by ``assembly``, the command line and the lab.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from ..spi import messages as m
from ..spi.contracts import FlavorPlugin, Found, GroupPlugin, InstancePlugin
from ..spi.errors import IkdemoError, ProtocolError
from ..spi.events import Cursor, EventBatch
from .client import Client
from .discovery import find, identity
from .methods import WATCH
from .proxies import FlavorClient, GroupClient, InstanceClient, ask_apis, extensions

WATCH_SECONDS = 50.0
BACK_OFF = (0.1, 5.0)
"""Seconds before the first and before every later try to reach a plugin that is away."""
LOOK_SECONDS = 1.0
"""Seconds between two looks at the socket of a plugin without events."""

P = TypeVar("P", InstanceClient, FlavorClient, GroupClient)


class Peers:
    """The plugins of one directory. Close it when done."""

    def __init__(self, directory: Path) -> None:
        self._directory = Path(directory)
        self._clients: dict[str, Client] = {}
        self._proxies: dict[tuple[str, str], InstanceClient | FlavorClient | GroupClient] = {}
        self._streams: set[Client] = set()
        self._closed = False

    async def instance(self, name: str) -> Found[InstancePlugin]:
        """Find an instance plugin; raises PluginNotFound, PluginUnavailable, ProtocolError, RemoteFailure."""
        proxy = self._proxy(name, InstanceClient)
        return Found(proxy, await proxy.handshake())

    async def flavor(self, name: str) -> Found[FlavorPlugin]:
        """Find a flavor plugin; raises as ``instance`` does."""
        proxy = self._proxy(name, FlavorClient)
        return Found(proxy, await proxy.handshake())

    async def group(self, name: str) -> Found[GroupPlugin]:
        """Find a group plugin; raises as ``instance`` does."""
        proxy = self._proxy(name, GroupClient)
        return Found(proxy, await proxy.handshake())

    async def any(self, name: str) -> InstanceClient | FlavorClient | GroupClient:
        """Find a plugin of whatever interface it names first; raises as ``instance`` does."""
        proxy: InstanceClient | FlavorClient | GroupClient
        names = [api.name for api in await ask_apis(self._client(name))]
        match next((found for found in names if found in ("Instance", "Flavor", "Group")), None):
            case "Instance":
                proxy = self._proxy(name, InstanceClient)
            case "Flavor":
                proxy = self._proxy(name, FlavorClient)
            case "Group":
                proxy = self._proxy(name, GroupClient)
            case _:
                raise ProtocolError(f"plugin {name} is no instance, flavor or group plugin")
        await proxy.handshake()
        return proxy

    async def events(self, name: str) -> AsyncIterator[EventBatch]:
        """Yield batches of a plugin's events for ever, across its restarts.

        The first batch after every connection has ``gap``: describe again. A plugin without the Events extension yields one
        empty batch with ``gap`` each time it is reached anew. While a plugin is away nothing is yielded.
        """
        cursor = Cursor()
        pause = BACK_OFF[0]
        while not self._closed:
            client: Client | None = None
            try:
                client = Client(find(self._directory, name), limit=1)
                self._streams.add(client)
                async with aclosing(_stream(client, cursor)) as batches:
                    async for batch in batches:
                        cursor, pause = Cursor(batch.stream, batch.next), BACK_OFF[0]
                        yield batch
            except IkdemoError:
                pass
            finally:
                if client:
                    self._streams.discard(client)
                    client.close()
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACK_OFF[1])

    async def close(self) -> None:
        """Close every connection and end every stream of events."""
        self._closed = True
        for client in [*self._clients.values(), *self._streams]:
            client.close()
        self._clients.clear()
        self._proxies.clear()
        await asyncio.sleep(0)  # lets the loop finish closing the sockets

    def _client(self, name: str) -> Client:
        path = find(self._directory, name)
        if name not in self._clients:
            self._clients[name] = Client(path)
        self._clients[name].look()
        return self._clients[name]

    def _proxy(self, name: str, kind: type[P]) -> P:
        client = self._client(name)
        found = self._proxies.setdefault((name, kind.interface), kind(client))
        assert isinstance(found, kind)
        return found


async def _stream(client: Client, cursor: Cursor) -> AsyncGenerator[EventBatch, None]:
    """Yield one plugin process's batches until the connection ends; the first one has ``gap``."""
    served = identity(client.path)
    if "Events" not in extensions(await ask_apis(client)):
        yield EventBatch(stream="", next=0, events=[], gap=True)
        client.close()  # a connection held open could keep a simple plugin from serving anybody else
        while identity(client.path) == served:  # noqa: ASYNC110, no event tells
            await asyncio.sleep(LOOK_SECONDS)
        return
    first = True
    while first or not client.lost:
        ask = m.Watch(cursor, 0.0 if first else WATCH_SECONDS)
        batch = await client.call(WATCH.wire, ask, WATCH.result, WATCH.deadline)
        cursor = Cursor(batch.stream, batch.next)
        if first or batch.events or batch.gap:
            yield replace(batch, gap=True) if first else batch
        first = False
