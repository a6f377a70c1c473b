"""Where the engine is, Docker's client for it, and what that client's many errors mean in our few.

It is where an ``EngineAddress`` says, or it is found as Docker's own command finds it: by
DOCKER_HOST (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH), else by the context in use, else at the
default socket. Its calls block, and may be made in any thread.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..spi.errors import IkdemoError, OutcomeUnknown, PluginFailure, PluginUnavailable, SpecError

T = TypeVar("T")
INSTALL = f"{sys.executable} -m pip install 'ikdemo[docker]'"
_NOT_SENT = (
    FileNotFoundError,
    ConnectionRefusedError,
    PermissionError,
    NotADirectoryError,
    socket.gaierror,
    ssl.SSLError,
)
_SHORTER = (
    (
        re.compile(r".*Bind for (\S+) failed: port is already allocated.*", re.DOTALL),
        r"port \1 is already allocated",
    ),
    (re.compile(r'.*exec: "([^"]*)": (.*?)(?:: unknown)?', re.DOTALL), r"cannot run \1: \2"),
)


class EngineAddress(NamedTuple):
    """Where an engine is, as ``DOCKER_HOST`` says it, and the files (PEM) by which both sides are
    trusted: TLS is spoken with all three of them, and not otherwise.

    ``verify``: refuse an engine whose certificate is not of this authority.
    """

    host: str
    authority: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True

    @property
    def tls(self) -> bool:
        return bool(self.authority and self.certificate and self.key)


class EngineClient:
    """Docker's client for one engine, made at the first question; ``host`` is where the engine
    is.
    """

    def __init__(self, timeout: float, most: int, address: EngineAddress | None = None) -> None:
        """Find out where the engine is, without asking it; raises IkdemoError when that cannot be
        told.
        """
        try:
            self._reach = _reach() if address is None else _reach_address(address)
        except ImportError:
            raise IkdemoError(
                f"containers need Docker's SDK, which is not installed: {INSTALL}"
            ) from None
        self.host = str(self._reach["base_url"])
        self._options = {
            "timeout": timeout,
            "max_pool_size": most,
            "use_ssh_client": self.host.startswith("ssh://"),
        }
        self._lock = threading.Lock()
        self._api: Any = None

    def disconnect(self) -> None:
        """Let go of all connections, and greet the engine anew at the next question: it may be of
        another version by then.
        """
        with self._lock:
            api, self._api = self._api, None
        if api is not None:
            api.close()

    def ask(self, question: Callable[[Any], T]) -> T:
        """Ask a question of the SDK's low-level client, blocking.

        Raises PluginUnavailable when nothing answers, OutcomeUnknown when no answer came, or none
        that makes sense, SpecError for what only another spec can help, PluginFailure for every
        other refusal.
        """
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        try:
            return question(self._connected())
        except APIError as error:
            raise _refusal(error.status_code or 0, error.explanation or str(error)) from None
        except (DockerException, RequestException, HTTPError, OSError) as error:
            raise self._no_answer(error) from None
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            said = (
                f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            )
            raise OutcomeUnknown(
                f"the Docker engine at {self.host} gives an answer that makes no sense: {said}"
            ) from None

    def _connected(self) -> Any:
        from docker import APIClient

        if (api := self._api) is not None:
            return api
        # this asks, so no other call is kept waiting meanwhile
        made = APIClient(**self._reach, **self._options)
        with self._lock:
            if self._api is None:
                self._api = made
            api = self._api
        if api is not made:
            made.close()
        return api

    def _no_answer(self, error: Exception) -> IkdemoError:
        from requests.exceptions import ConnectTimeout, Timeout

        chain = _chain(error)
        root = chain[-1]
        reason = (
            root.strerror
            if isinstance(root, OSError) and root.strerror
            else str(root) or type(root).__name__
        ).lower()
        never = any(
            isinstance(one, (*_NOT_SENT, ConnectTimeout))
            or type(one).__name__ == "NewConnectionError"
            for one in chain
        )
        if never or not any(isinstance(one, OSError) for one in chain):
            return PluginUnavailable(f"the Docker engine does not answer at {self.host}: {reason}")
        late = any(isinstance(one, Timeout) for one in chain)
        cause = f"no answer within {self._options['timeout']:g} s" if late else reason
        return OutcomeUnknown(f"the Docker engine at {self.host} went silent: {cause}")


def _reach() -> dict[str, Any]:
    """Return what the SDK's client is to be made with; raises IkdemoError, and ImportError without
    the SDK.
    """
    from docker.context import ContextAPI
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env

    if os.environ.get("DOCKER_HOST"):
        try:
            return dict(kwargs_from_env())
        except DockerException as error:
            raise IkdemoError(
                f"DOCKER_HOST is set, but how to be trusted there is not: {error}"
            ) from None
    name = os.environ.get("DOCKER_CONTEXT") or None
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # noqa: BLE001  the SDK raises whatever a damaged file makes it stumble over
        raise IkdemoError(
            f"the Docker context {name or 'in use'} cannot be read: {error}"
        ) from None
    if context is None or not context.Host:
        raise IkdemoError(
            f"there is no Docker context {name or 'as the one in use'}; docker context ls shows "
            "those there are"
        )
    return {"base_url": context.Host, **({"tls": context.TLSConfig} if context.TLSConfig else {})}


def _reach_address(address: EngineAddress) -> dict[str, Any]:
    """Return the same for an engine whose address is given; raises IkdemoError for one that is
    none, and for certificates that are not there.
    """
    from docker.errors import DockerException
    from docker.tls import TLSConfig
    from docker.utils import parse_host

    try:
        parse_host(address.host, tls=address.tls)
    except DockerException as error:
        raise IkdemoError(f"{address.host!r} is no address of a Docker engine: {error}") from None
    if not address.tls:
        return {"base_url": address.host}
    for name in (address.authority, address.certificate, address.key):
        try:
            with Path(name).open("rb"):
                pass
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise IkdemoError(f"{name} cannot be read: {why}") from None
    trust = TLSConfig((address.certificate, address.key), address.authority, address.verify)
    return {"base_url": address.host, "tls": trust}


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and what it was raised from or wraps, the innermost last."""
    chain = [error]
    while len(chain) < 20:
        last = chain[-1]
        wrapped = [
            one
            for one in (*last.args, getattr(last, "reason", None))
            if isinstance(one, BaseException)
        ]
        inner = last.__cause__ or next(iter(wrapped), None) or last.__context__
        if inner is None or inner in chain:
            break
        chain.append(inner)
    return chain


def _refusal(status: int, text: str) -> IkdemoError:
    """Put the engine's refusal into one of our errors.

    >>> _refusal(500, "driver failed: Bind for 0.0.0.0:80 failed: port is already allocated")
    PluginFailure('port 0.0.0.0:80 is already allocated')
    >>> _refusal(400, "invalid reference format")
    SpecError('invalid reference format')
    """
    for pattern, short in _SHORTER:
        if (found := pattern.fullmatch(text.strip())) is not None:
            text = found.expand(short)
    return SpecError(text) if status == 400 else PluginFailure(text)
