"""``ikdemo watch`` with plugins that have none of our extensions, such as InfraKit's own: it asks where nobody tells."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from desk import Desk
from terminal import Terminal

GROUP = "infrakit.group"


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


def test_it_asks_where_nobody_tells(desk: Desk) -> None:
    desk.plugins.mkdir(mode=0o700)
    living = ["instance-100001", "instance-100002"]
    properties = {
        "Allocation": {"Size": 2},
        "Instance": {"Plugin": "instances", "Properties": {}},
        "Flavor": {"Plugin": "flavor", "Properties": {}},
    }

    def describe(_: str) -> Any:
        return {"Descriptions": [{"ID": one, "LogicalID": None, "Tags": {GROUP: "web"}} for one in living]}

    def inspect(_: str) -> Any:
        return {"Groups": [{"ID": "web", "Properties": properties}]}

    environment = {**desk.environment, "TERM": "xterm-256color"}
    with plain(desk.plugins / "group", "Group", inspect), plain(desk.plugins / "instances", "Instance", describe):
        terminal = Terminal([*desk.program("ikdemo"), "watch"], environment, desk.cwd)
        try:
            terminal.sees("● as wanted", "2 of 2 slots filled", "…100001")
            living.pop(0)
            terminal.sees("▲ not as wanted", "1 of 2 slots filled", "It fell to 1 of 2")
            living.append("instance-100003")
            terminal.sees("● as wanted", "whole again", "…100003")
            terminal.type("p")
            terminal.sees("the group plugin group cannot do this: it does not")
            terminal.type("q")
            assert terminal.ends() == 0
        finally:
            terminal.close()
