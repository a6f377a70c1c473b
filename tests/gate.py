"""A socket before a plugin's, through which calls pass, and which can keep some of them back: so a
program is stopped between its check and its action, at no other moment.
"""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from asking import post


def _none(call: dict[str, Any]) -> bool:
    return False


class Gate:
    """Stands at ``path`` before the plugin at ``behind``. ``calls``: all that came; ``held``: those
    that were kept back; ``said``: what was answered to them in the end, an error's message or the
    result. ``done``: those that were answered without an error, in the order of the answers.
    """

    def __init__(self, path: Path, behind: Path, calls: list[dict[str, Any]] | None = None) -> None:
        self.calls = [] if calls is None else calls
        self.held: list[dict[str, Any]] = []
        self.done: list[dict[str, Any]] = []
        self.said: list[Any] = []
        self._behind, self._which = behind, _none
        self._open = threading.Event()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._server = _Server(str(path), _Passer)
        self._server.gate = self
        path.chmod(0o600)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def hold(self, which: Callable[[dict[str, Any]], bool]) -> None:
        """Keep calls back from now on, of which ``which`` is told what was asked."""
        self._open.clear()
        self._which = which

    def open(self) -> None:
        """Let through what was kept back, and all that comes."""
        self._which = _none
        self._open.set()

    def close(self) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()

    def passed(self, body: bytes) -> bytes:
        """Pass a request on, when it may, and return what was answered."""
        asked = json.loads(body)
        calls = asked if isinstance(asked, list) else [asked]
        self.calls += calls
        held = [call for call in calls if self._which(call)]
        if held:
            self.held += held
            self._open.wait(100)
        answer = post(self._behind, body)
        told = json.loads(answer)
        by_id = {one["id"]: one for one in (told if isinstance(told, list) else [told])}
        for call in calls:
            error = by_id[call["id"]].get("error")
            if not error:
                self.done.append(call)
            if call in held:
                self.said.append(error["message"] if error else by_id[call["id"]]["result"])
        return answer


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 128
    gate: Gate


class _Passer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle(self) -> None:
        with suppress(ConnectionError):  # the one who asks is gone
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            answer = self.server.gate.passed(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except (OSError, HTTPException):  # the plugin is gone
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None: ...
