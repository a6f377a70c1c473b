"""Which leader may act on a group's instances: that of the latest epoch that was claimed, whatever
an older one still believes.

The epochs are kept in the plugin's own directory, beside the instances that they protect: where the
directory goes they go, and another directory has neither. What a plugin does for a leader is done
through ``Fence.act``, so a claim, from which on older leaders are refused, can wait for what they
had begun. What comes without an epoch is let through; why is in the section Fence of
docs/protocol.md.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .. import disk
from ..spi.decode import decode, encode
from ..spi.documents import Document, Epoch
from ..spi.errors import CorruptState, Fenced, PluginFailure, SpecError

FILE = ".epochs"
"""File in the directory of a plugin: the latest epoch of each group that a leader has claimed."""
LIMIT = 2**20
"""Bytes of that file: some twenty thousand groups."""
CLAIM_WAIT = 20.0
"""Seconds that a claim waits for what older leaders had begun; less than its client waits."""

T = TypeVar("T")


class ClaimedEpochs(Document, frozen=True):
    """What is in the file. A group that is not named was never claimed."""

    epochs: dict[str, Epoch]


class Fence:
    """The epochs of one instance plugin, from ``open`` to ``close``; the plugin owns the directory
    meanwhile.
    """

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}
        self._durable: dict[str, int] = {}
        self._under_way: dict[str, dict[asyncio.Task[Any], int]] = {}
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    def open(self, directory: int) -> None:
        """Take up the epochs that an open directory holds; of those that are known already the
        greater ones stay, durably, as when the directory was deleted and made anew.

        Raises CorruptState for a file that makes no sense, PluginFailure when it cannot be read or
        written; no leader may be trusted then.
        """
        read = _read(directory)
        epochs = {
            group: max(read.get(group, 0), self._epochs.get(group, 0))
            for group in read | self._epochs
        }
        if epochs != read:
            _write(directory, epochs)
        self._epochs = self._durable = epochs

    async def close(self) -> None:
        """Finish what was begun; the directory may be given back then."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def claim(self, group: str, epoch: int, directory: int) -> None:
        """Refuse every smaller epoch from now on, make that durable in the plugin's open directory,
        and wait until what they had begun is over.

        Goes on if the caller goes away. Raises Fenced when a greater epoch was claimed, also while
        this waits; PluginFailure when the epoch cannot be written, or what was begun takes longer
        than ``CLAIM_WAIT``: smaller ones are refused all the same, and the claim may be made again.
        """
        known = self._epochs.get(group, 0)
        if epoch < known:
            raise Fenced(epoch, known)
        epochs = {**self._epochs, group: epoch}
        if not known and len(_text(epochs)) > LIMIT:
            raise PluginFailure(
                f"group {group[:80]!a} cannot be claimed: the epochs of {len(self._epochs)} groups "
                f"are kept, and no more than {LIMIT} bytes of them may be"
            )
        try:
            held = os.dup(directory)  # the plugin may have to close its own meanwhile
        except OSError as error:
            raise disk.refusal("hold", disk.path_of(directory), error) from None
        self._epochs = epochs
        await asyncio.shield(
            self._begin(self._claim(group, epoch, held), f"claim of group {group}")
        )

    async def _claim(self, group: str, epoch: int, directory: int) -> None:
        try:
            async with self._writing:
                epochs = self._epochs
                if epochs != self._durable:
                    await asyncio.to_thread(_write, directory, epochs)
                    self._durable = epochs
        finally:
            os.close(directory)
        begun = self._under_way.get(group, {}).items()
        if older := [task for task, its in begun if its < epoch]:
            _, pending = await asyncio.wait(older, timeout=CLAIM_WAIT)
            if pending:
                raise PluginFailure(
                    f"epoch {epoch} cannot act on group {group} yet: what an older one began is "
                    f"not over after {CLAIM_WAIT:g} s; claim it again"
                )
        self.check(group, epoch)

    def check(self, group: str, epoch: int | None) -> None:
        """Accept an action on a group for a leader, or for a client without an epoch; it has to
        begin before anything is awaited.

        Raises Fenced when a later leader has claimed the group, PluginFailure when this one has
        not.
        """
        if epoch is None:
            return
        known = self._epochs.get(group, 0)
        if epoch < known:
            raise Fenced(epoch, known)
        if epoch > known:
            raise PluginFailure(f"epoch {epoch} has not been claimed for group {group}")

    async def act(
        self, group: str, epoch: int | None, operation: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """Carry out an action that has to wait for something; a later leader's claim waits for its
        end, also if the caller goes away. Raises as ``check`` does, and what ``operation`` raises.
        """
        self.check(group, epoch)
        if epoch is None:
            return await operation()
        task = self._begin(operation(), f"action of epoch {epoch} on group {group}")
        self._under_way.setdefault(group, {})[task] = epoch
        task.add_done_callback(lambda task: self._over(group, task))
        return await asyncio.shield(task)

    def _begin(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen: the caller may have gone away

    def _over(self, group: str, task: asyncio.Task[Any]) -> None:
        del self._under_way[group][task]
        if not self._under_way[group]:
            del self._under_way[group]


def _read(directory: int) -> dict[str, int]:
    try:
        return decode(disk.read_regular(directory, FILE, LIMIT)[0], ClaimedEpochs).epochs
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise disk.refusal("open", disk.path_of(directory) / FILE, error) from None
    except (CorruptState, SpecError) as error:
        raise CorruptState(
            f"{disk.shown(disk.path_of(directory) / FILE)} says which leader may act, and cannot "
            f"be understood: {error}; put it right, or remove it when no older leader runs"
        ) from None


def _text(epochs: dict[str, int]) -> bytes:
    return encode(ClaimedEpochs(epochs))


def _write(directory: int, epochs: dict[str, int]) -> None:
    disk.write_atomic(directory, FILE, _text(epochs), mode=0o600, durable=True)
