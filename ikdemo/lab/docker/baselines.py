"""Docker's own ways of keeping containers alive, to compare ours with: a restart policy, and a
Swarm service.

Each keeps a number of containers that carry its name in the label ``LABEL``; the engine's low-level
client is handed to it. How long healing takes is measured in ``comparison`` for a notebook, and by
the benchmark of containers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ...spi.errors import IkdemoError

LABEL = "ikdemo-compared"
PATIENCE = 60.0
"""Seconds until containers that should end are said not to."""
PAUSE = 0.05


class RestartPolicyAlways:
    """``docker run --restart=always``. Hit again and again it waits longer each time, so ``renew``
    begins with new containers.
    """

    who = "--restart=always"

    def __init__(
        self, api: Any, image: str, command: Sequence[str], labels: Mapping[str, str] | None = None
    ) -> None:
        self._api, self._image, self._command, self._size = api, image, list(command), 0
        self.labels = {**(labels or {}), LABEL: self.who}

    def start(self, size: int) -> None:
        """Begin with that many."""
        self._size = size
        policy = self._api.create_host_config(restart_policy={"Name": "always"})
        for _ in range(size):
            made = self._api.create_container(
                self._image, self._command, labels=self.labels, host_config=policy
            )
            self._api.start(made["Id"])

    def renew(self) -> None:
        """Forget what was done to it, where that would count against it."""
        self.stop()
        self.start(self._size)

    def stop(self) -> None:
        """End, and leave no container."""
        for container in containers_of(self._api, self.labels, all=True):
            self._api.remove_container(container, force=True)


class SwarmService:
    """A replicated service on this node. ``delay``: seconds before a task is restarted, None for
    Docker's own default of five.
    """

    def __init__(
        self,
        api: Any,
        image: str,
        command: Sequence[str],
        delay: float | None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.who = (
            "Swarm service, defaults"
            if delay is None
            else f"Swarm service, restart delay {delay:g} s"
        )
        self._api = api
        self._image = image
        self._command = list(command)
        self._delay = delay
        self._service = ""
        self.labels = {**(labels or {}), LABEL: self.who}

    def start(self, size: int) -> None:
        """Begin with that many; they need not run yet on return."""
        container: dict[str, Any] = {
            "Image": self._image,
            "Command": self._command,
            "Labels": self.labels,
        }
        container["StopGracePeriod"] = 0  # for a quick ``stop``
        here = f"node.id=={self._api.info()['Swarm']['NodeID']}"
        task: dict[str, Any] = {"ContainerSpec": container, "Placement": {"Constraints": [here]}}
        if self._delay is not None:
            task["RestartPolicy"] = {
                "Condition": "any",
                "Delay": int(self._delay * 1e9),
                "MaxAttempts": 0,
                "Window": 0,
            }
        made = self._api.create_service(
            task, labels=self.labels, mode={"Replicated": {"Replicas": size}}
        )
        self._service = made["ID"]

    def renew(self) -> None:
        """Nothing counts against it."""

    def stop(self) -> None:
        """End, and leave neither service nor container; raises IkdemoError when containers do not
        end.
        """
        self._api.remove_service(self._service)
        until = time.monotonic() + PATIENCE
        while containers_of(self._api, self.labels, all=True):
            if time.monotonic() > until:
                raise IkdemoError(f"the containers of the {self.who} did not end")
            time.sleep(PAUSE)


def containers_of(api: Any, labels: Mapping[str, str], **how: bool) -> list[str]:
    """Return the IDs of the containers with these labels: those that run, or ``all``."""
    wanted = [f"{name}={text}" for name, text in labels.items()]
    return sorted(row["Id"] for row in api.containers(quiet=True, filters={"label": wanted}, **how))
