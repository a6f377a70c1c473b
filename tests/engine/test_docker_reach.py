"""Which engine is meant, told by the environment and Docker's own files alone; none of these tests
needs an engine.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import socket
import threading
from pathlib import Path

import pytest

from ikdemo.engine import Engine
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
