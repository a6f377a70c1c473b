"""Network namespaces: made here and entered here, by a thread at a time. Called by the private
engine.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
"""From <sched.h>; Python has these calls since 3.12 only."""


def new_network() -> int:
    """Return a descriptor of a new network namespace with a loopback; it lives as long as the
    descriptor or a process in it.
    """
    made: list[int] = []

    def unshare() -> None:  # a thread of its own: the caller stays where it is
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))

    thread = threading.Thread(target=unshare)
    thread.start()
    thread.join()
    if not made:
        raise RuntimeError(
            "no network namespace could be made; a container needs CAP_SYS_ADMIN for that"
        )
    return made[0]


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Move the calling thread into a network namespace, and back."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _enter(namespace)
        yield
    finally:
        _enter(home)
        os.close(home)


def link(first: int, second: int, subnet: str = "192.168.77") -> tuple[str, str]:
    """Lay a cable between two network namespaces, and return the address at each end of it."""
    ends = [(first, f"{subnet}.1"), (second, f"{subnet}.2")]
    with inside(first):
        other = f"/proc/{os.getpid()}/fd/{second}"
        command = f"ip link add cable type veth peer name cable netns {other}"
        subprocess.run(command.split(), check=True)
    for namespace, address in ends:
        with inside(namespace):
            for command in (f"ip address add {address}/24 dev cable", "ip link set cable up"):
                subprocess.run(command.split(), check=True)
    return ends[0][1], ends[1][1]


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
