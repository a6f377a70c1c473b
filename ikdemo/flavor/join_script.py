"""The Init of a machine that becomes a node of a Docker swarm.

It gives the machine's engine the label by which the node is found again, and joins. What it needs
on the machine is a shell and Docker. An engine that is slow to come back, and a swarm that elects a
leader just then, are waited for, for a minute each; whatever else fails ends the script.
"""

from __future__ import annotations

import json
import shlex

_SCRIPT = """\
#!/bin/sh
# Makes this machine a {role} of a Docker swarm; its engine's label says which machine it is.
set -eu
in_time() {{
  tries=60
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep 1
  done
}}
answers() {{ docker version > /dev/null 2>&1; }}
joined() {{ [ "$(docker info --format '{{{{.Swarm.LocalNodeState}}}}')" = active ]; }}
join() {{ joined || docker swarm join --token {token} {address} || joined; }}

mkdir -p /etc/docker
cat > /etc/docker/daemon.json << 'EOF'
{configuration}
EOF
{restart}
in_time answers
in_time join
"""


def join_script(*, role: str, label: str, restart: str, address: str, token: str) -> str:
    """Return the script of a machine whose engine gets ``label``, is restarted by a command line,
    and joins by ``token`` at the manager's ``address``.

    >>> script = join_script(
    ...     role="worker", label="a=b", restart="restart it", address="10.0.0.1:2377", token="T-1"
    ... )
    >>> rows = [row for row in script.splitlines() if row.startswith(("{", "restart", "join()"))]
    >>> print("\\n".join(rows))
    join() { joined || docker swarm join --token T-1 10.0.0.1:2377 || joined; }
    {"labels": ["a=b"]}
    restart it
    """
    return _SCRIPT.format(
        role=role,
        configuration=json.dumps({"labels": [label]}),
        restart=restart,
        token=shlex.quote(token),
        address=shlex.quote(address),
    )
