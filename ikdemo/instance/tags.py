"""Whether an instance carries tags that somebody asks for. Called by every instance plugin."""

from __future__ import annotations

from collections.abc import Mapping

PID_TAG = "pid"
"""Tag that holds the process of an instance that is one, for whoever wants to kill it; one that its spec has stays."""


def carries(mine: Mapping[str, str] | None, wanted: Mapping[str, str]) -> bool:
    """Say whether an instance carries all wanted tags; as in InfraKit, an empty wanted value matches a missing tag too.

    >>> carries({"tier": "web"}, {"tier": "web", "colour": ""}), carries(None, {"tier": "web"})
    (True, False)
    """
    return all((mine or {}).get(key, "") == value for key, value in wanted.items())
