"""Which engine is meant, told by the environment and Docker's own files alone; none of these tests
needs an engine.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ikdemo.engine import Engine, EngineAddress
from ikdemo.spi.errors import IkdemoError, OutcomeUnknown, PluginUnavailable

# The SDK leaves a socket that it could not connect to the garbage collector, which warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of Docker's settings with one context in it, ``far``, and nothing said by the
    environment.
    """
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"far").hexdigest()
    meta.mkdir(parents=True)
    endpoint = {"docker": {"Host": "tcp://far.example:2375", "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(
        json.dumps({"Name": "far", "Metadata": {}, "Endpoints": endpoint})
    )
    return tmp_path


def test_the_engine_is_found_as_docker_finds_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Engine().host == "unix:///var/run/docker.sock"
    (config / "config.json").write_text('{"currentContext": "far"}')
    assert (Engine().host, Engine().address) == ("tcp://far.example:2375", "far.example")
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert Engine().host == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")
    assert (Engine().host, Engine().address) == ("unix:///run/user/1000/docker.sock", "127.0.0.1")


def test_a_context_that_is_not_there_or_damaged_is_said(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    with pytest.raises(
        IkdemoError, match="there is no Docker context near; docker context ls shows"
    ):
        Engine()
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    next((config / "contexts").rglob("meta.json")).write_text("{")
    with pytest.raises(IkdemoError, match="the Docker context far cannot be read"):
        Engine()


def test_certificates_that_are_missing_are_said(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(config))
    with pytest.raises(IkdemoError, match="DOCKER_HOST is set, but how to be trusted there is not"):
        Engine()


@pytest.mark.parametrize("host", ["unix:///no/such.sock", "tcp://127.0.0.1:9", "bogus://x"])
def test_an_engine_that_is_not_there_is_unavailable(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(PluginUnavailable, match=f"the Docker engine does not answer at {host}: "):
        asyncio.run(Engine().containers())
    gc.collect()


def test_an_address_that_is_given_is_the_engine_s_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///not/this/one.sock")
    assert Engine(address=EngineAddress("tcp://far.example:2375")).address == "far.example"
    with pytest.raises(IkdemoError, match="'tcp://' is no address of a Docker engine: "):
        Engine(address=EngineAddress("tcp://"))
    missing = EngineAddress("tcp://far.example:2376", "no-ca.pem", "no.pem", "no-key.pem")
    with pytest.raises(IkdemoError, match=r"^no-ca\.pem cannot be read: no such file or"):
        Engine(address=missing)
    assert not missing._replace(key="").tls, "with all three files or not at all"


def test_with_certificates_both_sides_are_trusted_or_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they come before what the SDK is given
        monkeypatch.delenv(name, raising=False)
    ours, theirs = certificate(tmp_path, "ours"), certificate(tmp_path, "theirs")

    async def info(address: EngineAddress) -> object:
        engine = Engine(100.0, address)
        try:
            return (await engine.info())["ID"]
        finally:
            engine.disconnect()

    with tls_engine(*ours) as host:
        certain = EngineAddress(host, ours[0], *ours)
        assert asyncio.run(info(certain)) == "E"
        with pytest.raises(PluginUnavailable, match="certificate verify failed"):
            asyncio.run(info(certain._replace(authority=theirs[0])))
        for wrong in (
            certain._replace(certificate=theirs[0], key=theirs[1]),  # the engine does not know it
            certain._replace(certificate=ours[1]),  # no certificate
            certain._replace(key=""),  # without TLS
        ):
            with pytest.raises(
                IkdemoError, match=f"the Docker engine (does not answer )?at {host}"
            ):
                asyncio.run(info(wrong))
    gc.collect()


def certificate(directory: Path, name: str) -> tuple[str, str]:
    """Return the files of a new certificate for this machine, which is its own authority, and of
    its key.
    """
    files = (str(directory / f"{name}.pem"), str(directory / f"{name}-key.pem"))
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN={name} -addext subjectAltName=IP:127.0.0.1 -out {files[0]} -keyout {files[1]}"
    )
    subprocess.run(command.split(), check=True, capture_output=True, timeout=100)
    return files


@contextmanager
def tls_engine(certified: str, key: str) -> Iterator[str]:
    """Serve what an engine says of itself to those who have the same certificate; give the
    address.
    """

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = b'{"ID": "E", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def finish_request(self, request: socket.socket, client: object) -> None:
            with suppress(OSError), trust.wrap_socket(request, server_side=True) as safe:
                super().finish_request(safe, client)

    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certified, key)
    trust.load_verify_locations(certified)
    trust.verify_mode = ssl.CERT_REQUIRED
    with Server(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_engine_that_is_silent_is_given_up_and_keeps_nobody_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/silent")

    async def story(engine: Engine) -> None:
        for question in (engine.info(), engine.containers(), engine.follow([], 0, print)):
            with pytest.raises(
                OutcomeUnknown, match=r"went silent: no answer within 0.3 s|tells no events"
            ):
                await question

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent")
        silent.listen(10)
        asyncio.run(story(Engine(timeout=0.3)))


def test_without_the_sdk_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "docker.context", None)
    with pytest.raises(
        IkdemoError,
        match=r"containers need Docker's SDK, which is not installed: .* -m pip install",
    ):
        Engine()


def test_no_more_threads_than_allowed_ask_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/silent")
    most = 0

    async def story() -> None:
        nonlocal most
        engine = Engine(timeout=0.2)
        asked = [asyncio.create_task(engine.info()) for _ in range(60)]
        while not all(task.done() for task in asked):
            most = max(
                most,
                sum(thread.name == "question to the engine" for thread in threading.enumerate()),
            )
            await asyncio.sleep(0.02)
        assert all(isinstance(task.exception(), OutcomeUnknown) for task in asked)

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent")
        silent.listen(100)
        asyncio.run(story())
    assert 1 < most <= 2 * 16  # a thread that has answered may still be ending when the next begins
