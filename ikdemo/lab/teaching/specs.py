"""Group specs as learners have them: the collabnix group of every notebook, and reading one in
whatever form it comes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...spi.errors import IkdemoError, SpecError
from ...spi.sources import STANDARD_INPUT, file_of, plain

_WEB_SERVER = (
    "exec python3 -c '",
    "import os",
    "from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer",
    "class Page(BaseHTTPRequestHandler):",
    "    def do_GET(self):",
    "        self.send_response(200)",
    "        self.end_headers()",
    '        self.wfile.write("{INSTANCE_ID} in slot {SLOT} of '
    '{GROUP}\\n".format_map(os.environ).encode())',
    'ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()',
    "'",
)
"""A shell script: a web server that says which instance it is."""

_PAGE_SERVER = (
    "mkdir -p /www",
    'echo "$INSTANCE_ID in slot $SLOT of $GROUP" > /www/index.html',
    "httpd -f -p $PORT -h /www &",
    "trap exit TERM",
    "wait",
)
"""A shell script for a container with busybox in it: the same page, and no waiting when asked to
end.
"""


def collabnix(
    plugin: str = "instance-file", size: int = 5, *, group: str = "collabnix"
) -> dict[str, Any]:
    """Return the collabnix group spec as plain Python values, ready to be changed and committed.

    >>> collabnix(size=3)["Properties"]["Allocation"]
    {'Size': 3}
    """
    return {
        "ID": group,
        "Properties": {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": plugin, "Properties": {"Note": "Collabnix Infrakit 101"}},
            "Flavor": {
                "Plugin": "flavor-vanilla",
                "Properties": {
                    "Init": [
                        "docker pull dockercloud/hello-world",
                        "docker run -d -p 8080:80 dockercloud/hello-world",
                    ],
                    "Tags": {"tier": "web", "project": "infrakit"},
                },
            },
        },
    }


def collabnix_processes(
    plugin: str = "instance-process", size: int = 5, *, group: str = "collabnix"
) -> dict[str, Any]:
    """Return the collabnix group as real web servers: small Python programs, and a flavor that asks
    each for its page.

    >>> collabnix_processes(size=3)["Properties"]["Flavor"]["Plugin"]
    'flavor-probe'
    """
    return {
        "ID": group,
        "Properties": {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": plugin, "Properties": {"Memory": "256M"}},
            "Flavor": {
                "Plugin": "flavor-probe",
                "Properties": {
                    "Init": list(_WEB_SERVER),
                    "Tags": {"tier": "web", "project": "infrakit"},
                    "Check": {"HTTP": "/"},
                    "Interval": "500ms",
                    "Timeout": "400ms",
                    "Threshold": 3,
                },
            },
        },
    }


def collabnix_containers(
    plugin: str = "instance-docker",
    size: int = 5,
    *,
    group: str = "collabnix",
    image: str = "busybox:1.37",
    ports: Sequence[str] = ("80",),
) -> dict[str, Any]:
    """Return the collabnix group as real web servers in containers, of any image with a shell and
    busybox's web server in it.

    >>> collabnix_containers(image="busybox:musl")["Properties"]["Instance"]["Properties"]["Image"]
    'busybox:musl'
    """
    spec = collabnix_processes(plugin, size, group=group)
    spec["Properties"]["Instance"]["Properties"] = {
        "Image": image,
        "Ports": list(ports),
        "Memory": "64M",
    }
    spec["Properties"]["Flavor"]["Properties"]["Init"] = list(_PAGE_SERVER)
    return spec


def text_of(spec: Mapping[str, Any] | str | Path) -> str:
    """Return a spec as JSON text: of a dict, of a file or ``file://`` URL, or as it is.

    Raises IkdemoError for what is none of these.

    >>> text_of({"ID": "web"})
    '{"ID": "web"}'
    """
    if isinstance(spec, Mapping):
        return _dumped(spec)
    if not isinstance(spec, str | Path):
        raise SpecError(
            "A spec is a dict, JSON text or the name of a file, and this is "
            f"{type(spec).__name__}: {spec!r:.60}"
        )
    if isinstance(spec, str) and (
        spec.lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"') or "\n" in spec
    ):
        return spec.removeprefix("\ufeff")
    if spec == STANDARD_INPUT:
        raise SpecError(
            "A notebook has no standard input to read from; give the spec itself, or the name "
            "of a file"
        )
    try:
        return plain(Path(file_of(spec) if isinstance(spec, str) else spec).read_bytes()).decode()
    except SpecError as error:
        raise SpecError(
            str(error) if str(error).startswith(str(spec)) else f"{spec}: {error}"
        ) from None
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise IkdemoError(f"open {spec}: {why.lower()}") from None


def _dumped(spec: Mapping[str, Any]) -> str:
    try:
        return json.dumps(spec, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(
            f"this dict cannot be written as JSON: {str(error)[:1].lower()}{str(error)[1:]}"
        ) from None
