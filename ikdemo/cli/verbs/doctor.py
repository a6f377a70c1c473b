"""The verb ``ikdemo doctor``: what this machine can do, one line each, and what to do about a no.

Each check is a function that returns a ``Finding``; only a missing core part makes the exit status
1.
"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...engine import Engine
from ...rpc import discovery
from ...rpc.proxies import InstanceClient, as_manager
from ...spi.errors import IkdemoError
from ..commands import Invocation, Verb, say
from ..verb_inputs import peers
from .lab_verbs import INSTALL

LONGEST_NAME = "collabnix-instance-file"
ENGINE_TIMEOUT, PLUGIN_TIMEOUT = 2, 2
"""Seconds to wait for an answer."""


@dataclass(frozen=True)
class Finding:
    """What one check found: whether it is there, a few words, and what to do if not."""

    good: bool
    words: str
    cure: str = ""


def python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding(good, platform.python_version(), "install Python 3.11 or newer")


def sockets() -> Finding:
    """Make a socket in the plugin directory, as a plugin would, and remove it."""
    try:
        directory = discovery.ensure_dir(discovery.plugin_dir())
    except IkdemoError as error:
        return Finding(False, str(error), "name another folder in INFRAKIT_PLUGINS_DIR")
    room = discovery.LONGEST_PATH - len(os.fsencode(directory.absolute())) - 1
    if room < len(LONGEST_NAME):
        words = f"{directory} leaves {max(room, 0)} bytes for a name"
        return Finding(
            False,
            words,
            "name a shorter folder in INFRAKIT_PLUGINS_DIR, such as "
            f"{tempfile.gettempdir()}/plugins",
        )
    try:
        with (
            tempfile.TemporaryDirectory(dir=directory) as folder,
            socket.socket(socket.AF_UNIX) as probe,
        ):
            probe.bind(f"{folder}/s")
    except OSError as error:
        return Finding(
            False,
            f"{directory}: {error.strerror}",
            "name a folder on a local disk in INFRAKIT_PLUGINS_DIR",
        )
    return Finding(True, str(directory))


def inotify() -> Finding:
    cure = "raise fs.inotify.max_user_instances; until then healing waits for the poll"
    try:
        from inotify_simple import INotify

        with INotify():
            return Finding(True, "a vanished instance file is noticed at once")
    except (ImportError, OSError) as error:
        return Finding(False, str(error), cure)


def processes() -> Finding:
    """Hold a process by its pidfd, as a lab and the process plugin hold theirs."""
    cure = (
        "labs and process instances need Linux 5.3, a Python built for it, and a container "
        "that allows pidfd_open"
    )
    try:
        os.close(os.pidfd_open(os.getpid()))
    except AttributeError:
        return Finding(False, "this Python was built without pidfd_open", cure)
    except OSError as error:
        return Finding(False, f"pidfd_open: {(error.strerror or str(error)).lower()}", cure)
    return Finding(True, "a process is never taken for another one")


def jupyter() -> Finding:
    return _module("jupyterlab", "ikdemo lab opens the notebooks", INSTALL)


def plots() -> Finding:
    return _module(
        "matplotlib",
        "ikdemo demo draws recovery.png",
        f"{sys.executable} -m pip install 'ikdemo[plot]'",
    )


def _module(name: str, words: str, cure: str) -> Finding:
    return (
        Finding(True, words)
        if find_spec(name)
        else Finding(False, f"{name} is not installed", cure)
    )


def engine() -> tuple[Finding, Finding]:
    """Ask the Docker engine what it is: once for the engine, once for Swarm mode."""
    if find_spec("docker") is None:
        return _no_engine(
            "the docker package is not installed",
            f"{sys.executable} -m pip install 'ikdemo[docker]'",
        )
    try:
        asked = Engine(ENGINE_TIMEOUT)
    except IkdemoError as error:
        return _no_engine(
            str(error), "set DOCKER_HOST or DOCKER_CONTEXT right; only the Docker notebooks need it"
        )
    try:
        info = asyncio.run(asked.info())
    except IkdemoError as error:
        if "permission denied" in str(error):
            return _no_engine(
                f"{asked.host} is not yours to use",
                "sudo usermod -aG docker $USER, then log in again",
            )
        return _no_engine(
            f"no engine answers at {asked.host}",
            "start Docker, or set DOCKER_HOST; only the Docker notebooks need it",
        )
    version = f"version {info.get('ServerVersion', 'unknown')}"
    return Finding(True, version), _swarm(info.get("Swarm") or {})


def _swarm(said: Mapping[str, Any]) -> Finding:
    """Say whether the engine manages a swarm: only then it answers those that ask one."""
    state = said.get("LocalNodeState") or "inactive"
    if state == "active" and not said.get("ControlAvailable"):
        return Finding(False, "active, as a worker", "name an engine that manages in DOCKER_HOST")
    return Finding(state == "active", state, "docker swarm init; only plugins for swarms need it")


def machines() -> Finding:
    """Say whether instances can be machines in namespaces of this one."""
    from ...instance.machine.machine import lacking

    reason = lacking()
    words = reason or "in namespaces of this one, with an engine each"
    return Finding(not reason, words, "only lab.machines() and its plugin need that")


def _no_engine(words: str, cure: str) -> tuple[Finding, Finding]:
    return Finding(False, words, cure), Finding(False, "needs the engine", "see the line above")


async def fencing(directory: Path) -> Finding | None:
    """Say where an older leader would still be let through, if a manager runs here; a plugin that
    does not answer is passed over.
    """
    managed, unfenced = False, set[str]()
    async with peers(directory) as found:
        for name, _ in discovery.listing(directory):
            try:
                async with asyncio.timeout(PLUGIN_TIMEOUT):
                    plugin = await found.any(name)
                    if manager := as_manager(plugin):
                        report, managed = await manager.leader(), True
                        unfenced |= set() if report.fences else {report.behind}
                    elif isinstance(plugin, InstanceClient) and "Fence" not in plugin.offers:
                        unfenced.add(name)
            except (IkdemoError, TimeoutError):
                continue
    if not managed:
        return None
    if not unfenced:
        return Finding(True, "what an older leader asks for is refused")
    return Finding(
        False,
        f"{', '.join(sorted(unfenced))}: no extension Fence",
        "use plugins that offer it; until then a leader that was stopped and wakes up may act",
    )


def doctor(call: Invocation) -> int:
    core: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("Python 3.11 or newer", python),
        ("plugin directory", sockets),
    )
    extra: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("inotify", inotify),
        ("pidfd", processes),
        ("JupyterLab", jupyter),
        ("matplotlib", plots),
    )
    good = True
    for name, check in core:
        good = _tell(name, check()) and good
    for name, check in extra:
        _tell(name, check())
    for name, finding in zip(("Docker engine", "Docker Swarm"), engine(), strict=True):
        _tell(name, finding)
    _tell("machines", machines())
    if good and (fenced := asyncio.run(fencing(call.directory))):
        _tell("fencing", fenced)
    return 0 if good else 1


def _tell(name: str, finding: Finding) -> bool:
    cure = "" if finding.good else f"  ->  {finding.cure}"
    say(f"{'yes' if finding.good else 'no ':<3}  {name:<20}  {finding.words}{cure}")
    return finding.good


DOCTOR = (Verb("doctor", "", "Say what this machine can do, and what to do about a no", doctor),)
