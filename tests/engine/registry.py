"""A registry with one image, as much of one as a pull needs; its layer can be held back, to see
what waits for it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """Serves ``image`` in the network of the thread that made it. ``released``: the layer may go
    out; ``asked``: how often.
    """

    def __init__(self, root_file_system: bytes) -> None:
        self.released, self.asked = threading.Event(), 0
        layer = gzip.compress(root_file_system, 1)
        machine = MACHINES.get(platform.machine(), platform.machine())
        root = {"type": "layers", "diff_ids": [digest_of(root_file_system)]}
        config = json.dumps(
            {
                "architecture": machine,
                "os": "linux",
                "config": {"Env": ["PATH=/bin"]},
                "rootfs": root,
            }
        ).encode()
        self._layer = digest_of(layer)
        self._blobs = {self._layer: layer, digest_of(config): config}
        parts = [
            {"mediaType": kind, "size": len(data), "digest": digest_of(data)}
            for kind, data in _kinds(config, layer)
        ]
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": parts[0], "layers": parts[1:]}
        self._manifest = json.dumps(body).encode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self._thread.start()
        self.image = f"127.0.0.1:{self._server.server_port}/tiny:1"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Return the kind and the content of what a path names."""
        if path == "/v2/":
            return "application/json", b"{}"
        if "/manifests/" in path:
            self.asked += 1
            return MANIFEST, self._manifest
        digest = path.rpartition("/")[2]
        if digest == self._layer:
            self.released.wait(100)
        return ("application/octet-stream", self._blobs[digest]) if digest in self._blobs else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = registry.answer(self.path)
                kind, content = found or ("text/plain", b"")
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Docker-Content-Digest", digest_of(content))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _kinds(config: bytes, layer: bytes) -> list[tuple[str, bytes]]:
    return [
        ("application/vnd.docker.container.image.v1+json", config),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer),
    ]
