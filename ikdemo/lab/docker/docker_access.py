"""The Docker engine that a notebook uses, if one answers; if none does, a recording stands in for
the cells that need it.

Decides which image and which ports containers get here, and does what needs no plugin of ours:
listing, running a container, the comparison. An engine's mode is never changed.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...disk import Lease
from ...engine.engine_client import EngineClient
from ...instance.container_labels import SLOT, TAG
from ...instance.docker.labels import OWNER
from ...instance.docker.orphans import leave_note
from ...spi.documents import GROUP_TAG
from ...spi.errors import IkdemoError
from ...spi.text import visible
from ..lab import Lab
from ..show.tables import Table, Words
from .baselines import RestartPolicyAlways, SwarmService
from .comparison import COMMAND, MIME, Comparison, Healing, Peer, of_group, of_peer, read
from .recording import Recording, step_aside

IMAGE = "busybox:1.37"
VARIABLE = "IKDEMO_IMAGE"
"""Names the image in place of ``IMAGE``; it needs a shell, ``httpd`` and ``sleep``, as any busybox
has them.
"""
PATIENCE, AT_ONCE = 20.0, 8
PULL = 60.0
"""Seconds that an image may take to come."""
NEVER, LONG = 3.0, 10.0
"""Seconds after which a restart policy is said not to heal, and anything else."""


class Docker:
    """The engine as a notebook sees it, for the group of a lab. ``here``: whether one answers and
    can be used.
    """

    def __init__(self, lab: Lab, recording: str = "07-docker") -> None:
        self._lab, self._recording = lab, Recording(recording)
        self.here, self.image, self.ports = False, os.environ.get(VARIABLE) or IMAGE, ["80"]
        try:
            self._client = EngineClient(PATIENCE, AT_ONCE)
            info = self._client.ask(lambda api: api.info())
            self.image = self._image()
        except IkdemoError as error:
            self._said = (
                f"There is no Docker engine to use: {error}. Cells that begin with “# "
                "engine” are not run here. "
            )
            self._said += f"What they show was {self._recording.label}, by {self._recording.by}."
            self._recording.stand_in()
            return
        step_aside()
        self.here, self.ports = True, _ports(self._client.host, info)
        self._swarm = bool(info["Swarm"]["ControlAvailable"])
        mode = "and manages a Swarm" if self._swarm else "and is not in Swarm mode"
        self._said = (
            f"A Docker engine answers: version {info['ServerVersion']}, {mode}. Its "
            f"image for us: {self.image}"
        )

    def ps(self) -> Table:
        """List the containers that belong to this lab, in whatever state, as ``docker ps -a``
        does.
        """
        rows = self._engine.ask(lambda api: api.containers(all=True, filters={"label": OWNER}))
        ours = [
            row for row in rows if row["Labels"][OWNER].startswith(f"{self._lab.root.resolve()}/")
        ]
        group = f"{TAG}{GROUP_TAG}"
        found = [
            (
                row["Names"][0].lstrip("/"),
                row["Labels"].get(SLOT, "-"),
                row["Labels"].get(group, "-"),
                row["Status"],
            )
            for row in ours
        ]
        found.sort(key=lambda row: (row[2] == "-", row[2], row[1].zfill(9), row[0]))
        return Table(
            ["container", "slot", "group", "status"],
            found,
            empty="There is no container of this lab.",
        )

    def run(self) -> Words:
        """Start a container that is no instance, as ``docker run -d`` does, and return its name."""
        name, labels = f"stranger-{secrets.token_hex(3)}", self._labels()
        self._engine.ask(
            lambda api: api.create_container(self.image, COMMAND, name=name, labels=labels)
        )
        self._engine.ask(lambda api: api.start(name))
        return Words(name)

    def remove(self, name: str) -> Words:
        """Remove a container that ``run`` started, as ``docker rm -f`` does."""
        self._engine.ask(lambda api: api.remove_container(name, force=True))
        return Words(f"removed {name}")

    def compare(self, group: str) -> Comparison:
        """Measure how soon the group, ``--restart=always`` and Swarm services replace what is lost;
        takes some ten seconds.

        Services only where the engine manages a Swarm already, which takes ten seconds more; else
        they are from the recording.
        """
        labels = self._labels()
        makers: list[Callable[[Any], Peer]] = [
            lambda api: RestartPolicyAlways(api, self.image, COMMAND, labels)
        ]
        if self._swarm:
            makers += [
                lambda api: SwarmService(api, self.image, COMMAND, None, labels),
                lambda api: SwarmService(api, self.image, COMMAND, 0.0, labels),
            ]
        recorded = [] if self._swarm else self._recorded()
        ours = of_group(self._engine, group, self._lab.describe(group).column("instance"), LONG)
        # these two mostly wait, so they do not disturb each other; no other runs beside them
        with ThreadPoolExecutor() as slow:
            found = list(slow.map(self._measured, makers[:2]))
        found += map(self._measured, makers[2:])
        return Comparison([ours, *found, *recorded])

    def _measured(self, make: Callable[[Any], Peer]) -> Healing:
        peer = self._engine.ask(make)
        return of_peer(self._engine, peer, NEVER if isinstance(peer, RestartPolicyAlways) else LONG)

    def _recorded(self) -> list[Healing]:
        """Return what was recorded of Swarm services."""
        return [
            one
            for one in read(self._recording.find("compare", MIME)).healings
            if one.who.startswith("Swarm")
        ]

    @property
    def _engine(self) -> EngineClient:
        if not self.here:
            raise IkdemoError(self._said)
        return self._client

    def _labels(self) -> dict[str, str]:
        """Return the labels of containers that are no instances: what is left of them goes with the
        lab.
        """
        directory = self._lab.root.resolve() / "compared"
        directory.mkdir(mode=0o700, exist_ok=True)
        lease = Lease(directory)
        try:
            return leave_note(lease, directory, self._client.host)
        finally:
            lease.release()

    def _image(self) -> str:
        """Return an image that the engine has, or has fetched by now; raises IkdemoError when it
        cannot.
        """
        tags = [
            tag
            for row in self._client.ask(lambda api: api.images())
            for tag in row["RepoTags"] or []
        ]
        wanted = (
            [self.image] if os.environ.get(VARIABLE) else [IMAGE, "busybox:latest", *sorted(tags)]
        )
        for tag in wanted:
            if tag in tags and (tag == self.image or tag.startswith("busybox:")):
                return tag
        fetching = threading.Thread(target=self._fetch, daemon=True, name=f"pull of {self.image}")
        fetching.start()
        fetching.join(PULL)
        self._client.ask(lambda api: api.inspect_image(self.image))
        return self.image

    def _fetch(self) -> None:
        try:
            self._client.ask(lambda api: api.pull(self.image))
        except IkdemoError:
            pass  # _image finds none then

    def __repr__(self) -> str:
        return visible(self._said)


def _ports(host: str, info: Mapping[str, Any]) -> list[str]:
    """Return where servers listen so that they are reached from here: at an address of their own,
    else published.

    >>> _ports("unix:///var/run/docker.sock", {"OperatingSystem": "Docker Desktop"})
    ['127.0.0.1:0:80']
    >>> _ports("unix:///x", {})
    ['80']
    """
    if not host.startswith("unix://"):
        return ["0:80"]
    rootless = "name=rootless" in (info.get("SecurityOptions") or ())
    return (
        ["127.0.0.1:0:80"]
        if rootless or info.get("OperatingSystem") == "Docker Desktop"
        else ["80"]
    )
