"""A Docker engine of the tests' own: one dockerd in a network namespace of its own, gone without a
trace when it is stopped.

It needs root and the Debian packages ``docker.io busybox-static iptables iproute2``, but neither
systemd, nor Docker's command line, nor a registry: the one image, ``IMAGE``, is made of busybox.
Two engines in one network namespace would rewrite each other's packet filter, so this one always
gets a namespace that nobody else has: whatever runs on the machine is left alone. A container's
address, and a port that it publishes, are reached only inside ``network()``; the engine's socket
from everywhere.

Made by the fixtures in conftest.py, and by hand to run a command with such an engine as its
DOCKER_HOST::

    PYTHONPATH=tests python -m engine.private python -m benchmarks.containers
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import docker
from engine.network import inside, new_network

from ikdemo.instance.machine.busybox_image import root_file_system, static_busybox
from ikdemo.instance.machine.cgroups import mount_cgroups

IMAGE = "ikdemo-test/busybox:local"
PACKAGES = "docker.io busybox-static iptables iproute2"
PATIENCE = 100.0
"""Seconds for each of: starting, stopping."""


class PrivateEngine:
    """One dockerd with its data under ``directory``; ``host`` is what DOCKER_HOST has to be to
    reach it, ``namespace`` a descriptor of its network namespace.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ik-engine-", dir="/tmp"))
        self.host = f"unix://{self.directory}/docker.sock"
        self.namespace = new_network()
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process of dockerd, to be stopped or killed by a test."""
        assert self._daemon is not None, "the engine is not running"
        return self._daemon.pid

    def start(self, online: bool = False) -> None:
        """Start dockerd and wait until it answers; an engine that dies or stays silent is an error
        that shows its log.

        ``online``: in the machine's own network, which it neither filters nor adds to. Its
        containers have that network or none: good for building images, and for nothing else.
        """
        mount_cgroups()
        for stale in ("docker.sock", "pid", "exec/containerd/containerd.pid"):
            (self.directory / stale).unlink(missing_ok=True)
        (self.directory / "daemon.json").write_text("{}")  # in place of the machine's
        at = self.directory
        command = (
            f"dockerd --host {self.host} --data-root {at}/data --exec-root {at}/exec "
            f"--pidfile {at}/pid"
        )
        command += (
            f" --config-file {at}/daemon.json --exec-opt native.cgroupdriver=cgroupfs "
            "--shutdown-timeout 2 --log-level warn"
        )
        # Its own few variables: the marks by which tests know their processes must not be inherited
        # by every container's shim.
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1",
        }
        if online:
            command += " --bridge none --iptables=false --ip-forward=false"
        with (
            nullcontext() if online else self.network(),
            (self.directory / "log").open("ab") as log,
        ):
            self._daemon = subprocess.Popen(
                # a killed test run takes its engine along
                ["setpriv", "--pdeathsig", "TERM", *command.split()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not start; the end of its log:\n{self.log()}")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Say whether the engine answers within two seconds."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(2.0)
            try:
                asking.connect(self.host.removeprefix("unix://"))
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in asking.recv(4096)
            except OSError:
                return False

    def stop(self) -> None:
        """End dockerd and all its containers, by force after ``PATIENCE``; does nothing if it does
        not run.
        """
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGCONT)
            self._kill_containers()
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(PATIENCE)
        daemon.kill()
        daemon.wait()
        self._kill_leftovers()

    def restart(self) -> None:
        """Stop the engine and start it again: its containers have ended, and it knows them
        still.
        """
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill dockerd alone, as a crash would; its containers go on until the next ``start``,
        which ends them.
        """
        assert self._daemon is not None, "the engine is not running"
        self._daemon.kill()
        self._daemon.wait()

    def close(self) -> None:
        """Stop, and remove everything that was ever on disk or mounted."""
        self.stop()
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for path in sorted(
            (path for path in mounted if path.startswith(f"{self.directory}/")), reverse=True
        ):
            subprocess.run(["umount", "--lazy", path], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self.namespace)

    def load_image(self) -> None:
        """Make ``IMAGE``: busybox under all its names, and a shell as the command."""
        client = docker.APIClient(self.host, timeout=PATIENCE)
        try:
            repository, tag = IMAGE.split(":")
            changes = ["ENV PATH=/bin", 'CMD ["sh"]']
            client.import_image_from_data(
                root_file_system(), repository=repository, tag=tag, changes=changes
            )
        finally:
            client.close()

    @contextmanager
    def network(self) -> Iterator[None]:
        """Put the calling thread, and the processes and threads it starts meanwhile, into the
        engine's network.
        """
        with inside(self.namespace):
            yield

    def log(self) -> str:
        """Return the end of what dockerd wrote."""
        return (self.directory / "log").read_text(errors="replace")[-3000:]

    def _kill_containers(self) -> None:
        if not self.answers():
            return  # what is left is ended with the shims
        client = docker.APIClient(self.host, timeout=PATIENCE)
        try:
            for container in client.containers(quiet=True):
                with suppress(docker.errors.APIError):  # it ended by itself
                    client.kill(container["Id"])
        finally:
            client.close()

    def _kill_leftovers(self) -> None:
        """Kill what outlived dockerd: containerd and shims, known by their commands, and their
        children, the containers.
        """
        needle, deadline = f"{self.directory}/exec/".encode(), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = {pid for pid in processes() if needle in command_of(pid)}
            if not found:
                return
            for pid in found | {pid for pid in processes() if parent_of(pid) in found}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


def lacking() -> str:
    """Say in a sentence why no engine can be started here; nothing if one can."""
    if os.geteuid() != 0:
        return "a private Docker engine needs root"
    programs = ("dockerd", "containerd", "iptables", "ip", "setpriv")
    missing = [program for program in programs if shutil.which(program) is None]
    if static_busybox() is None:
        missing.append("a statically linked busybox")
    if missing:
        return f"a private Docker engine needs {', '.join(missing)}: apt-get install {PACKAGES}"
    return ""


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # gone meanwhile


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[1])
    except OSError:
        return 0


def main(command: list[str]) -> int:
    """Run a command with a private engine as its DOCKER_HOST, in the engine's network; return its
    exit status.
    """
    if reason := lacking():
        sys.exit(reason)
    engine = PrivateEngine()
    try:
        engine.start()
        engine.load_image()
        with engine.network():
            return subprocess.run(
                command, env={**os.environ, "DOCKER_HOST": engine.host, "IKDEMO_IMAGE": IMAGE}
            ).returncode
    finally:
        engine.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [os.environ.get("SHELL", "/bin/sh")]))
