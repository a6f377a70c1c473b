"""The rules of HTTP/1.1 here: which requests are refused, how large and how slow they may be, what
a response looks like.

Pure: no bytes are read or written. What a body means is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

BODY_LIMIT = 8 * 2**20
HEAD_LIMIT = 64 * 2**10
IDLE, HEAD, STALL, BODY, LINGER = 300.0, 5.0, 5.0, 60.0, 2.0
"""Seconds: without a request; for a whole head; without a byte of a body; for a whole body; for
reading a last answer.
"""

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    431: b"Request Header Fields Too Large",
}
_REQUEST_LINE = re.compile(rb"(?:\r?\n)?([!#$%&'*+.^_`|~0-9A-Za-z-]+) [!-~]+ HTTP/1\.[01]\r?\n")


class Request(NamedTuple):
    """One complete request, or one refused as soon as that was clear (``status`` is then not 200
    and ``body`` the sentence).

    ``old``: HTTP/1.0, which has to be told that the connection stays. ``headless``: HEAD, whose
    response has no body.
    """

    status: int
    body: bytes
    keep_alive: bool = False
    old: bool = False
    headless: bool = False


def check_head(method: bytes, version: str, headers: Mapping[bytes, bytes]) -> Request | None:
    """Refuse a request by its head alone; None when its body is to be read. Header names are in
    lower case.
    """
    if version != "1.0" and b"host" not in headers:
        return Request(400, b"400 Bad Request: missing required Host header")
    if method != b"POST":
        return Request(
            405, b"rpc: POST method required, received " + method, headless=method == b"HEAD"
        )
    if b"origin" in headers:
        return Request(403, b"requests from web pages are refused")
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    if kind.lower() not in (b"", b"application/json"):
        return Request(415, b"rpc: unrecognized Content-Type: " + kind)
    if int(headers.get(b"content-length", b"0")) > BODY_LIMIT:
        return TOO_LARGE
    return None


def refuse_garbage(data: bytes) -> Request:
    """Refuse what the parser could not read: a method it does not know is still a method,
    everything else is garbage.
    """
    found = _REQUEST_LINE.match(data)
    return Request(405, b"rpc: POST method required, received " + found[1]) if found else GARBAGE


GARBAGE = Request(400, b"400 Bad Request")
TOO_LARGE = Request(413, b"a request body may have 8 MiB")
HEAD_TOO_LARGE = Request(431, b"the head of a request may have 64 KiB")
TOO_SLOW = Request(408, b"the request did not arrive in time")


def response(request: Request, reply: bytes, keep_alive: bool) -> bytes:
    """Return the whole response: a refusal in plain text, an answer in JSON, always with its
    length.
    """
    head = b"HTTP/1.1 %d %b\r\n" % (request.status, _REASONS[request.status])
    if request.status != 200:
        head += b"Content-Type: text/plain; charset=utf-8\r\n"
    elif reply:
        head += b"Content-Type: application/json\r\n"
    if request.status == 405:
        head += b"Allow: POST\r\n"
    if not keep_alive:
        head += b"Connection: close\r\n"
    elif request.old:
        head += b"Connection: keep-alive\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(reply) + (b"" if request.headless else reply)
