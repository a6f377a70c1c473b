"""The verbs about a manager: who leads, and committing all groups of one document."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Raw

from ...manager.global_spec import read_global_spec
from ...spi.documents import LeaderReport
from ...spi.errors import PluginFailure, SpecError
from ...spi.text import visible
from ..commands import Invocation, Verb, say
from ..verb_inputs import peers, read_document
from .group_verbs import PRETEND

if TYPE_CHECKING:
    from ...rpc.proxies import GroupClient


@asynccontextmanager
async def managing(call: Invocation) -> AsyncIterator[GroupClient]:
    """Connect to the manager that ``--name`` names; raises PluginFailure when it is none."""
    from ...rpc.proxies import as_manager

    async with peers(call.directory) as found:
        manager = as_manager((await found.group(call["name"])).plugin)
        if manager is None:
            raise PluginFailure(f"{call['name']} is a group plugin, and no manager of ours")
        yield manager


async def leader(call: Invocation) -> int:
    async with managing(call) as manager:
        report = await manager.leader()
    say(sentence(report, call["name"], time.time()))
    return 0 if report.name else 1


def sentence(report: LeaderReport, manager: str, now: float) -> str:
    """Say who leads, in one line.

    >>> led = LeaderReport("m-1", 7, since=10.0, renewed=70.5, store="etcd", leads=True)
    >>> sentence(led, "m-1", 71.0)
    'm-1 leads, this manager; epoch 7; since 1m1s; store etcd; last renewal 0.5s ago'
    >>> sentence(LeaderReport(store="os", why="no file"), "m-1", 0.0)
    'No leader is known; store os; m-1 does not lead: no file'
    """
    parts = ["No leader is known" if not report.name else f"{report.name} leads"]
    if report.leads:
        parts[0] += ", this manager"
    if report.name:
        parts.append(f"epoch {report.epoch}")
    if report.since:
        parts.append(f"since {_span(now - report.since)}")
    parts.append(f"store {report.store}")
    if report.renewed:
        parts.append(f"last renewal {_span(now - report.renewed)} ago")
    if not report.leads and report.why:
        parts.append(f"{manager} does not lead: {report.why}")
    return visible("; ".join(parts))


def _span(seconds: float) -> str:
    whole = int(max(0.0, seconds))
    if whole < 10:
        return f"{max(0.0, seconds):.1f}s"
    minutes, left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "") + f"{left}s"


async def commit(call: Invocation) -> None:
    file = call.arguments[0]
    try:
        spec = read_global_spec(bytes(read_document(file, Raw)))
    except SpecError as error:
        said = str(error)
        raise SpecError(said if said.startswith(file) else f"{file}: {said}") from None
    if not spec.groups:
        raise SpecError(f"{file}: $.Groups: there is no group in it")
    async with managing(call) as manager:
        behind = (await manager.leader()).behind
        for group, entry in spec.groups.items():
            if entry.plugin not in ("", behind):
                raise SpecError(
                    f'{file}: $.Groups.{group}.Plugin: expected "{behind}", which is the group '
                    f'plugin behind {call["name"]}, got "{entry.plugin}"'
                )
        groups = [entry.properties for _, entry in sorted(spec.groups.items())]
        for done in await manager.commit_groups(groups, call["pretend"]):
            say(
                f"Committing {done.id} would involve: {done.details}"
                if call["pretend"]
                else f"Committed {done.id}: {done.details}"
            )


LEADER = (Verb("leader", "", "Say which manager leads, and since when", leader),)
MANAGER = (
    Verb(
        "commit",
        "FILE",
        "Commit all groups of FILE, a document with all of them, or none",
        commit,
        (PRETEND,),
    ),
)
