"""The flags that say where a Docker engine is, in InfraKit's words, and what they come to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .flags import Flag, switch
from .plugin_program import Flags

if TYPE_CHECKING:
    from ..engine import Swarm

log = logging.getLogger(__name__)

USUAL_HOST = "unix:///var/run/docker.sock"
ENGINE_FLAGS: tuple[Flag, ...] = (
    Flag(
        "host",
        "address of the Docker engine (default: the one that docker finds)",
        placeholder="address",
    ),
    Flag("tlscacert", "certificate of the authority, for TLS", placeholder="file"),
    Flag("tlscert", "certificate to be known by, for TLS", placeholder="file"),
    Flag("tlskey", "key of that certificate, for TLS", placeholder="file"),
    Flag("tlsverify", "refuse an engine that the authority does not know", switch, True),
)


def swarm_of(values: Flags) -> Swarm:
    """Return the swarm of the engine that the flags name; raises IkdemoError for flags that name
    none.
    """
    from ..engine import EngineAddress, Swarm

    host = values["host"]
    authority, certificate, key = (values[name] for name in ("tlscacert", "tlscert", "tlskey"))
    address = EngineAddress(host or USUAL_HOST, authority, certificate, key, values["tlsverify"])
    if (authority or certificate or key) and not address.tls:
        log.warning("TLS is off: it needs --tlscacert, --tlscert and --tlskey")
    return Swarm(address if host or address.tls else None)
