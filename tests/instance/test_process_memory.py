"""A process plugin that starts and loses instances for long holds no more at the end than it did
when it had begun.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import tracemalloc
from pathlib import Path

import pytest
from asking import held
from msgspec import Raw

from ikdemo.instance.output import REMEMBERED
from ikdemo.instance.process.plugin import ProcessInstances
from ikdemo.rpc.event_ring import EventRing
from ikdemo.spi.documents import InstanceSpec

SPEC = InstanceSpec(
    Raw(b'{"Command": ["sh", "-c", "echo hello; exec sleep 1000"]}'),
    {"infrakit.group": "g", "k": "v" * 1000},
)
ENDING = InstanceSpec(
    Raw(b'{"Command": ["sh", "-c", "echo hello; exit 3"]}'),
    {"infrakit.group": "g", "k": "v" * 1000},
)


def test_what_has_ended_is_forgotten_but_for_the_latest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "ikdemo")  # pytest keeps what is logged, which is no leak of ours

    async def life(made: ProcessInstances) -> None:
        """Let one instance be destroyed, one killed, and one end by itself."""
        destroyed, killed, _ = [
            await made.provision(spec, str(slot)) for slot, spec in enumerate((SPEC, SPEC, ENDING))
        ]
        [leader] = [one.record.pid for one in made._started() if one.record.id == killed]
        os.kill(leader, signal.SIGKILL)
        await made.destroy(destroyed)
        while await made.describe_instances({}) or len(asyncio.all_tasks()) > 3:  # noqa: ASYNC110  several events at once
            await asyncio.sleep(0.001)

    async def story() -> None:
        # the events that are kept for readers are bounded by themselves
        ring = EventRing("instance-process", capacity=30)
        made = ProcessInstances(tmp_path / "p", takes_along=True)
        await made.start(ring.append)
        for _ in range(REMEMBERED):
            await life(made)
        gc.collect()
        tracemalloc.start()
        before, open_before = tracemalloc.get_traced_memory()[0], held(os.getpid()).descriptors
        rounds = 60
        for _ in range(rounds):
            await life(made)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 40_000, "each instance has left more than what the latest ones are kept with"
        assert held(os.getpid()).descriptors == open_before
        assert threading.active_count() <= 2
        await made.stop()
        ring.close()

    asyncio.run(asyncio.wait_for(story(), 100))
