"""What a machine does at boot, as shell scripts: it connects itself, mounts what is its own, and
runs its Init; and the two commands that an Init finds, ``restart-docker`` and ``docker``.

A machine's disk is a directory of the plugin, mounted at ``/mnt`` in the machine. The rest of the
file system is the host's, but ``/run`` and what is written below ``/etc``: that is in memory, and
gone when the power is cut.
"""

from __future__ import annotations

from pathlib import Path

SUBNET = "192.168.77"
"""Of every switch: none of them is connected to anything, so no two subnets ever meet."""
SWITCH, BOOTED = 3, 4
"""Descriptors that a machine begins with: the network of its switch, which its first process alone
keeps, and a pipe into which it writes a line when it has booted.
"""
COMMANDS = "/mnt/bin"
"""First folder of the PATH in a machine."""
BOOT = f"""
set -eu
echo "m$1" >/proc/sys/kernel/hostname
switch="nsenter --net=/proc/self/fd/{SWITCH}"
ip link set lo up
$switch ip link delete "p$1" 2>/dev/null || true  # of the last boot
ip link add eth0 type veth peer name "p$1" netns /proc/self/fd/{SWITCH}
$switch ip link set "p$1" master br0 up
ip address add "{SUBNET}.$1/24" dev eth0
ip link set eth0 up
ip route add default via {SUBNET}.254  # nothing answers there; some programs want one
mount --bind "$2" /mnt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/etc /run/etc-work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work overlay /etc
rm -rf /etc/docker /etc/resolv.conf
mkdir /etc/docker
: >/etc/resolv.conf
echo booted >&{BOOTED}
exec {BOOTED}>&-
cd /
(exec {SWITCH}>&-; exec /mnt/init) && status=0 || status=$?
echo "Init ended with exit status $status"
(exec {SWITCH}>&-; exec docker version >/dev/null) || true
while :; do
  (exec {SWITCH}>&-; exec sleep 1000000) &
  wait $!  # which reaps all that lost its parent
done
"""
"""The first process. Arguments: the number of the machine, and its disk."""
_RESTART_DOCKER = """#!/bin/sh
# Stops the Docker engine of this machine if it runs, starts it, and waits until it answers.
set -eu
exec 9>/run/docker.lock
flock 9
if pid=$(cat /run/docker.pid 2>/dev/null) && kill "$pid" 2>/dev/null; then
  while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
fi
rm -f /run/docker.sock /mnt/docker.sock
DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1 setsid dockerd \\
  --host unix:///run/docker.sock --host unix:///mnt/docker.sock --pidfile /run/docker.pid \\
  --data-root /mnt/docker --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$CGROUP" \\
  --shutdown-timeout 2 --log-level warn </dev/null >>/mnt/docker.log 2>&1 9>&- &
until [ -S /run/docker.sock ] && docker version >/dev/null 2>&1; do
  kill -0 $! || { tail -n 3 /mnt/docker.log; exit 1; }
  sleep 0.02
done
[ -e /mnt/image.tar ] || exit 0
docker load --quiet --input /mnt/image.tar
rm /mnt/image.tar
"""
_DOCKER = """#!/bin/sh
# Docker's own command; the first use of it starts the engine.
[ -S /run/docker.sock ] || restart-docker || exit
PATH=${PATH#*:}
exec docker "$@"
"""


def write_disk(disk: Path, init: str, image: bytes = b"") -> None:
    """Make the disk of a new machine; ``image``: what ``docker load`` takes, loaded when the engine
    starts first. Raises OSError.

    An Init that names no interpreter is run by a shell.
    """
    (disk / "bin").mkdir(mode=0o700, parents=True)
    script = init if init.startswith("#!") else f"#!/bin/sh\n{init}"
    for name, text in (
        ("init", script),
        ("bin/restart-docker", _RESTART_DOCKER),
        ("bin/docker", _DOCKER),
    ):
        (disk / name).write_text(text)
        (disk / name).chmod(0o700)
    if image:
        (disk / "image.tar").write_bytes(image)
