"""A process that campaigns by an etcd and writes the document for as long as it leads: what a
manager does, and nothing else.

``python -m engine.candidate NAME LEASE LOG ENDPOINT...`` writes a line of JSON for each fact into
LOG. Each write says which epoch its writer believes in. SIGUSR1 stops it between the next check of
its term and the write that follows; SIGUSR2 has it write nothing, until the next one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from msgspec import Raw

from ikdemo.boottime import since_boot
from ikdemo.manager.backend import Term
from ikdemo.manager.stores.etcd_store import EtcdBackend
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import IkdemoError, LeaseLost, VersionConflict

GAP = 0.02
"""Seconds between two writes."""
GROUP = "written"


class Candidate:
    """One contestant: its store, its term, and what it has to tell."""

    def __init__(self, name: str, lease: float, log: str, endpoints: list[str]) -> None:
        self._store = EtcdBackend(name, endpoints, lease=lease)
        self._name, self._term = name, Term(0, 0.0)
        self._log = Path(log).open("a", buffering=1)  # noqa: SIM115  as long as the process
        self._stops = self._rests = False

    async def run(self) -> None:
        """Campaign and write until killed; SIGTERM gives leadership up."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        loop.add_signal_handler(signal.SIGUSR1, lambda: setattr(self, "_stops", True))
        loop.add_signal_handler(signal.SIGUSR2, lambda: setattr(self, "_rests", not self._rests))
        self._say("up", pid=os.getpid())
        tasks = [loop.create_task(self._campaign()), loop.create_task(self._write())]
        waiting = loop.create_task(ended.wait())
        done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._store.stop()
        for task in done - {waiting}:
            task.result()

    async def _campaign(self) -> None:
        led = False
        while True:
            try:
                self._term = await self._store.look() or Term(0, 0.0)
            except IkdemoError as doubt:  # the term holds, for as long as it said
                self._say("doubt", text=str(doubt))
            if led != self._leads():
                led = not led
                self._say("won" if led else "lost", epoch=self._term.epoch)
            try:
                async with asyncio.timeout(self._store.interval):
                    await self._store.changed()
            except TimeoutError:
                pass

    async def _write(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(GAP)
            try:
                kept, number = await self._store.load(), number + 1
            except IkdemoError:
                continue
            term = self._term
            if self._rests or not self._leads():
                continue
            if self._stops:
                self._stops = False
                self._say("stopping", epoch=term.epoch)
                os.kill(os.getpid(), signal.SIGSTOP)
                self._say("goes on")
            facts = json.dumps({"epoch": term.epoch, "by": self._name, "number": number})
            spec = kept.spec.with_group(GroupSpec(GROUP, Raw(facts.encode())), "group")
            self._say("acts", epoch=term.epoch)
            try:
                await self._store.save(spec, kept, term)
            except LeaseLost as lost:
                self._say("refused", epoch=term.epoch, text=str(lost))
            except VersionConflict:
                self._say("refused", epoch=term.epoch, text="changed")
            except IkdemoError as doubt:
                self._say("unknown", epoch=term.epoch, text=str(doubt))
            else:
                self._say("wrote", epoch=term.epoch)

    def _leads(self) -> bool:
        return since_boot() < self._term.until

    def _say(self, what: str, **more: Any) -> None:
        self._log.write(json.dumps({"by": self._name, "what": what, **more}) + "\n")


if __name__ == "__main__":
    name, lease, log, *endpoints = sys.argv[1:]
    asyncio.run(Candidate(name, float(lease), log, endpoints).run())
