"""A member behind TLS, with certificates that fit and others that do not: each of these is one
sentence, and nothing was sent; a manager with them leads nothing and does nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asking
import pytest
from desk import Desk
from engine.etcd3 import Etcd3

from ikdemo.etcd.addresses import NO_FILES, TlsFiles, read_addresses, read_tls
from ikdemo.etcd.endpoints import Endpoints
from ikdemo.etcd.etcd_client import EtcdClient, created_at, put
from ikdemo.spi.errors import IkdemoError, OutcomeUnknown, PluginUnavailable

LONG = 100.0
PLAIN, SECURE = "127.0.0.1:2379", "127.0.0.1:2479"


def openssl(folder: Path, line: str) -> None:
    subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)


def certificate(folder: Path, name: str, authority: str, addresses: str) -> None:
    """Make ``name.pem`` and ``name.key``, signed by an authority."""
    (folder / "extensions").write_text(f"subjectAltName={addresses}\n")
    openssl(folder, f"req -newkey rsa:2048 -nodes -keyout {name}.key -out request -subj /CN={name}")
    openssl(
        folder,
        f"x509 -req -in request -CA {authority}.pem -CAkey {authority}.key -CAcreateserial "
        f"-days 2 -extfile extensions -out {name}.pem",
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by openssl: apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificates")
    for authority in ("ca", "other"):
        made = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={authority}"
        openssl(folder, f"{made} -keyout {authority}.key -out {authority}.pem")
    certificate(folder, "member", "ca", "IP:127.0.0.1")
    certificate(folder, "client", "ca", "IP:127.0.0.1")
    certificate(folder, "foreign", "other", "IP:127.0.0.1")
    openssl(folder, "rsa -aes256 -in client.key -passout pass:secret -out locked.key")
    return folder


@pytest.fixture(scope="module")
def secure(
    one_member: Etcd3, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Start a member behind TLS beside the other one, for those with a certificate of ``ca``."""
    peers, data = "http://127.0.0.1:2480", tmp_path_factory.mktemp("member")
    command = (
        f"etcd --data-dir {data} --name s --listen-peer-urls {peers} --initial-cluster s={peers} "
        f"--initial-advertise-peer-urls {peers} --listen-client-urls https://{SECURE} "
        f"--advertise-client-urls https://{SECURE} --client-cert-auth --log-level error "
        f"--trusted-ca-file {files}/ca.pem --cert-file {files}/member.pem --key-file "
        f"{files}/member.key"
    )
    with one_member.at(1), (data / "log").open("wb") as log:
        member = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command.split()], stdout=log, stderr=log
        )
    try:
        with one_member.at(1):
            while isinstance(ask(SECURE, good(files)), PluginUnavailable):
                assert member.poll() is None, (data / "log").read_text()
        yield
    finally:
        member.kill()
        member.wait()


def good(files: Path) -> TlsFiles:
    return TlsFiles(f"{files}/ca.pem", f"{files}/client.pem", f"{files}/client.key")


def ask(endpoint: str, given: TlsFiles) -> IkdemoError | None:
    """Write a key once, and return what went wrong."""

    async def go() -> IkdemoError | None:
        addresses = read_addresses([endpoint], given != NO_FILES)
        client = EtcdClient(Endpoints(addresses, read_tls(given), LONG))
        try:
            await client.decide([created_at(b"test/tls", 0)], [put(b"test/tls", b"1")], [])
        except IkdemoError as error:
            return error
        finally:
            client.close()
        return None

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("endpoint", "changes", "kind", "said"),
    [
        (SECURE, {}, None, ""),
        (SECURE, {"verify": False}, None, ""),
        (SECURE, {"authority": "other"}, PluginUnavailable, "its certificate is not accepted: "),
        (f"https://{SECURE}", {"authority": ""}, PluginUnavailable, "is not accepted: "),
        (SECURE.replace("127.0.0.1", "localhost"), {}, PluginUnavailable, "Hostname mismatch"),
        (SECURE, {"certificate": "", "key": ""}, PluginUnavailable, "TLS fails: "),
        (SECURE, {"certificate": "foreign", "key": "foreign"}, PluginUnavailable, "TLS fails: "),
        (PLAIN, {}, PluginUnavailable, f"https://{PLAIN}: "),
        (
            f"http://{SECURE}",
            {"authority": "", "certificate": "", "key": ""},
            OutcomeUnknown,  # etcd hangs up without a word
            "the connection broke",
        ),
    ],
)
@pytest.mark.usefixtures("secure", "etcd")
def test_certificates(
    files: Path,
    endpoint: str,
    changes: dict[str, object],
    kind: type[IkdemoError] | None,
    said: str,
) -> None:
    paths = {
        name: f"{files}/{value}.{'key' if name == 'key' else 'pem'}" if value else ""
        for name, value in changes.items()
        if name != "verify"
    }
    error = ask(endpoint, good(files)._replace(**{**changes, **paths}))
    assert type(error) is (kind or type(None)), error
    assert said in str(error)
    assert "\n" not in str(error)


def test_a_key_with_a_password_is_not_asked_for(files: Path) -> None:
    locked = good(files)._replace(key=f"{files}/locked.key")
    with pytest.raises(IkdemoError, match="the certificate for etcd cannot be used"):
        read_tls(locked)
    other = good(files)._replace(key=f"{files}/member.key")
    with pytest.raises(IkdemoError, match="key values mismatch"):
        read_tls(other)


def started(desk: Desk, given: TlsFiles) -> Path:
    """Start a manager by the member behind TLS, and what it stands before; return its socket."""
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group-stateless", "--store", "none")
    flags = ("--endpoint", f"https://{SECURE}", "--request-timeout", "20s", "--lease", "60s")
    files = zip(("--tlscacert", "--tlscert", "--tlskey"), given[:3], strict=True)
    named = [f"{flag}={path}" for flag, path in files if path]
    desk.start("infrakit-manager", "group", "etcd", *flags, *named)
    return desk.plugins / "group"


def commit(group: Path) -> Any:
    properties = {
        "Allocation": {"Size": 2},
        "Instance": {"Plugin": "instance-file", "Properties": {}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    }
    spec = {"ID": "web", "Properties": properties}
    return asking.ask(group, "Group.CommitGroup", {"Spec": spec, "Pretend": False})


@pytest.mark.usefixtures("secure", "etcd")
def test_a_manager_with_the_right_certificates_leads(desk: Desk, files: Path) -> None:
    group = started(desk, good(files))
    asking.until(lambda: asking.ask(group, "Manager.Leader", {})["Leads"])
    assert commit(group) == {"Details": "Managing 2 instances"}
    desk.until(2)
    assert desk.stop("group") == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"authority": "other.pem"}, "its certificate is not accepted: "),
        ({"authority": ""}, "its certificate is not accepted: "),
        ({"certificate": "foreign.pem", "key": "foreign.key"}, "TLS fails: "),
        ({"certificate": "", "key": ""}, "TLS fails: "),
    ],
)
@pytest.mark.usefixtures("secure", "etcd")
def test_a_manager_with_wrong_certificates_says_so_once_and_does_nothing(
    desk: Desk, files: Path, changes: dict[str, str], said: str
) -> None:
    paths = {name: f"{files}/{value}" if value else "" for name, value in changes.items()}
    group = started(desk, good(files)._replace(**paths))
    asking.until(lambda: said in asking.ask(group, "Manager.Leader", {})["Why"])
    with pytest.raises(asking.Refused, match=r"^not-a-leader$"):
        commit(group)
    assert desk.living() == []
    assert asking.ask(desk.plugins / "group-stateless", "Group.InspectGroups", {})["Groups"] is None
    assert desk.stop("group") == 0
    told = [line for line in desk.log("group").splitlines() if said in line]
    assert ["level=warning" in line for line in told].count(True) == 1, told
    assert len(told) <= 2, "and that no change can be waited for, once"
    assert "Traceback" not in desk.log("group")
