"""What the same work costs when nothing is in the way: files written by hand, documents passed on,
interpreters started.

Independent of the code that is measured. What each floor is, is also said in words here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ikdemo.spi.documents import Description

FILES = (
    "as many files of the same content, each written under a temporary name and renamed, in one "
    "loop"
)
DOCUMENTS = "the same documents encoded, sent through a pair of sockets and decoded, in one process"
IMPORTS = "as many interpreters that only import asyncio, msgspec and httptools"
NOTHING = "a Python interpreter that has imported nothing and waits"
LOOP = "a bare event loop beside the plugins, with a turn every 5 ms"
ALL_OFFERED = "the same group on plugins that offer every extension"
STACK = "import asyncio, msgspec, httptools"


def write_files(sample: bytes, count: int, where: Path) -> float:
    """Write files of the same content, each under a temporary name first, and return the seconds;
    they are removed again.
    """
    folder = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    began = time.perf_counter()
    for number in range(count):
        opened = os.open(".temporary", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder)
        os.write(opened, sample)
        os.close(opened)
        os.rename(".temporary", f"instance-{number}", src_dir_fd=folder, dst_dir_fd=folder)
    taken = time.perf_counter() - began
    os.close(folder)
    for path in where.iterdir():
        path.unlink()
    return taken


def pass_on(documents: list[Description]) -> float:
    """Encode documents, send them through a pair of sockets and decode them again; return the
    seconds.
    """
    near, far = socket.socketpair()
    with near, far:
        began = time.perf_counter()
        text = msgspec.json.encode(documents)
        sender = threading.Thread(target=near.sendall, args=(text,))
        sender.start()
        came = bytearray()
        while len(came) < len(text):
            came += far.recv(1 << 20)
        arrived = msgspec.json.decode(came, type=list[Description])
        taken = time.perf_counter() - began
        sender.join()
    if len(arrived) != len(documents):
        raise SystemExit(f"{len(arrived)} of {len(documents)} documents were passed on")
    return taken


def start_interpreters(count: int) -> float:
    """Start interpreters at once that only import what a plugin is built on, and return the seconds
    until all have ended.
    """
    began = time.perf_counter()
    started = [subprocess.Popen([sys.executable, "-c", STACK]) for _ in range(count)]
    for process in started:
        process.wait()
    return time.perf_counter() - began


@contextmanager
def bare_interpreter() -> Iterator[int]:
    """Give the process ID of an interpreter that has imported nothing and waits."""
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout is not None:
            process.stdout.readline()
        yield process.pid
    finally:
        process.communicate()
