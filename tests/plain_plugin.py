"""A plugin of one interface and no extension, as InfraKit's own are, served by the standard
library: none of our code answers.
"""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def plain(path: Path, interface: str, answer: Callable[[str], Any]) -> Iterator[None]:
    """Serve a plugin of one interface and no other; ``answer`` gives the result of each method."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            apis = {"APIs": [{"Name": interface, "Version": "0.1.0"}]}
            result = apis if call["method"] == "Plugin.Implements" else answer(call["method"])
            body = json.dumps({"jsonrpc": "2.0", "result": result, "id": call["id"]}).encode()
            with suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def address_string(self) -> str:
            return "a"

        def log_message(self, *_: object) -> None: ...

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join()
