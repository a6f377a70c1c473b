"""Other plugins by name: the lookup that a group is handed, over sockets.

Connections are pooled and handshakes remembered per name; how a stream of events survives restarts
of its plugin is decided only here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from ..spi import messages as m
from ..spi.contracts import FlavorPlugin, Found, GroupPlugin, InstancePlugin
from ..spi.errors import IkdemoError, OutcomeUnknown, PluginUnavailable, ProtocolError
from ..spi.events import Cursor, EventBatch
from .client import Client
from .discovery import find, identity
from .methods import WATCH
from .proxies import FlavorClient, GroupClient, InstanceClient, ask_apis, extensions

log = logging.getLogger(__name__)

WATCH_SECONDS = 50.0
BACK_OFF = (0.1, 5.0)
"""Seconds before the first and before every later try to reach a plugin that is away, or that makes
no sense.
"""
AT_ONCE = 1.0
"""Seconds in which an answer that tells nothing has not waited, as it should."""
LASTING = 60.0
"""Seconds after which a stream that made sense is trusted again."""
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
        """Find an instance plugin; raises PluginNotFound, PluginUnavailable, ProtocolError,
        RemoteFailure.
        """
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

        The first batch after every connection has ``gap``: describe again. A plugin without the
        Events extension yields one empty batch with ``gap`` each time it is reached anew. While a
        plugin is away nothing is yielded. One that makes no sense is asked anew, ever more seldom.
        Raises nothing.
        """
        cursor = Cursor()
        loop = asyncio.get_running_loop()
        pause = distrust = BACK_OFF[0]
        said = ""
        while not self._closed:
            client: Client | None = None
            began = loop.time()
            try:
                client = Client(find(self._directory, name), limit=1)
                self._streams.add(client)
                async with aclosing(_stream(client, cursor)) as batches:
                    async for batch in batches:
                        cursor, pause = Cursor(batch.stream, batch.next), BACK_OFF[0]
                        yield batch
            except (PluginUnavailable, OutcomeUnknown):
                pass
            except Exception as error:
                if str(error) != said:
                    said = str(error)
                    unforeseen = None if isinstance(error, IkdemoError) else error
                    log.warning(
                        "The events of plugin %s are asked for anew: %s",
                        name,
                        said,
                        exc_info=unforeseen,
                    )
                distrust = (
                    BACK_OFF[0] if loop.time() - began > LASTING else min(distrust * 2, BACK_OFF[1])
                )
                pause = max(pause, distrust)
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
        self._clients[name].check_socket()
        return self._clients[name]

    def _proxy(self, name: str, kind: type[P]) -> P:
        client = self._client(name)
        found = self._proxies.setdefault((name, kind.interface), kind(client))
        assert isinstance(found, kind)
        return found


async def _stream(client: Client, cursor: Cursor) -> AsyncGenerator[EventBatch, None]:
    """Yield one plugin process's batches until the connection ends; the first one has ``gap``."""
    served = identity(client.path)
    offers = extensions(await ask_apis(client))
    if "Events" not in offers:
        yield EventBatch(stream="", next=0, events=[], gap=True)
        # a connection held open could keep a simple plugin from serving other clients
        client.close()
        while identity(client.path) == served:  # noqa: ASYNC110, no event tells
            await asyncio.sleep(LOOK_SECONDS)
        return
    loop = asyncio.get_running_loop()
    first, pause = True, BACK_OFF[0]
    while first or not client.lost:
        ask = m.Watch(cursor, 0.0 if first else WATCH_SECONDS)
        asked = loop.time()
        batch = await client.call(
            WATCH.wire, ask, WATCH.result, WATCH.deadline, batch="Batch" in offers
        )
        gap = first or batch.gap or batch.stream != cursor.stream
        # a gap tells something where events were passed over: a ring may be overrun between two
        # questions
        later = batch.next - (len(batch.events) if batch.gap else 0)
        told = bool(batch.events) and batch.stream == cursor.stream and later > cursor.next
        waited = loop.time() - asked >= AT_ONCE
        cursor = Cursor(batch.stream, batch.next)
        if gap or batch.events:
            yield replace(batch, gap=gap)
        if told or waited or first:
            pause = BACK_OFF[0]
        else:
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACK_OFF[1])
        first = False
