"""Where etcd's members are, and the files of TLS: what a command line was given, looked over before
anything is sent.

TLS is used where a file of it is given, or where an address begins with ``https://``.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from ..spi.errors import IkdemoError

PORT = 2379
"""The port on which a member serves clients, where none is given."""
MOST = 16
"""Members at most: no etcd has more than seven or nine."""


class Address(NamedTuple):
    """Where one member serves clients."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class TlsFiles(NamedTuple):
    """Paths of PEM files, empty where none is given: the authority that signed the members'
    certificates, our own certificate, its key. Without ``verify`` any member is believed.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True


NO_FILES = TlsFiles()


def read_addresses(texts: Iterable[str], tls: bool) -> tuple[Address, ...]:
    """Read endpoints such as ``10.0.0.1:2379`` or ``https://etcd-1:2379``; raises IkdemoError.

    ``tls``: files of TLS are given, so an address without a scheme uses it.

    >>> [str(address) for address in read_addresses(["10.0.0.1", "http://[::1]:99"], False)]
    ['http://10.0.0.1:2379', 'http://[::1]:99']
    """
    found = dict.fromkeys(_read(text.strip(), tls) for text in texts if text.strip())
    if not found:
        raise IkdemoError("etcd needs an endpoint, such as 10.0.0.1:2379")
    if len(found) > MOST:
        raise IkdemoError(f"{len(found)} endpoints are given, and no more than {MOST} can be used")
    return tuple(found)


def _read(text: str, tls: bool) -> Address:
    wrong = IkdemoError(
        f"endpoint {text[:100]!a}: expected a host and a port, such as 10.0.0.1:2379 or "
        "https://etcd-1:2379"
    )
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme not in ("http", "https"):
        raise wrong
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if not host or port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise wrong
    if not parts.netloc.isascii() or any(sign in "@ " or sign < " " for sign in parts.netloc):
        raise wrong
    if scheme == "http" and tls:
        raise IkdemoError(f"endpoint {text!a} is without TLS, and files of TLS are given")
    return Address(host, PORT if port is None else port, tls or scheme == "https")


def read_tls(files: TlsFiles) -> ssl.SSLContext:
    """Read the files, and return what connections use; raises IkdemoError that names the file."""
    if bool(files.certificate) != bool(files.key):
        raise IkdemoError("a certificate for etcd needs its key, and a key its certificate")
    context = ssl.create_default_context()
    if not files.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    what, path = "authority", files.authority
    try:
        if files.authority:
            context.load_verify_locations(files.authority)
        what, path = "certificate", files.certificate
        if files.certificate:
            # a key that needs a password would be asked for on the terminal otherwise
            context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except ssl.SSLError as error:
        named = f"{path} and {files.key}" if what == "certificate" else path
        raise IkdemoError(
            f"the {what} for etcd cannot be used: {named}: {_reason(error)}"
        ) from None
    except OSError as error:
        named = f"{path} or {files.key}" if what == "certificate" else path
        why = (error.strerror or str(error)).lower()
        raise IkdemoError(f"the {what} for etcd cannot be read: {named}: {why}") from None
    return context


def _reason(error: ssl.SSLError) -> str:
    """Say what TLS found wrong, in small letters.

    >>> _reason(ssl.SSLError(1, "[X509: KEY_VALUES_MISMATCH] key values mismatch (_ssl.c:4149)"))
    'key values mismatch'
    """
    text = str(error.args[-1] if error.args else error)
    return text.partition("] ")[2].partition(" (_ssl")[0].lower() or text.partition(" (_ssl")[0]
