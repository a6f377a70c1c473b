"""``infrakit-manager etcd`` without an etcd: what is wrong with its flags is one sentence, and
members that do not answer are doubt, in which nothing is done.
"""

from __future__ import annotations

import socket

import asking
import pytest
from asking import Refused
from desk import Desk


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("--help", 0, "--endpoint host:port,..."),
        ("--lease 1s", 1, "a lease of etcd has whole seconds, 2 to 3600"),
        ("--lease 2500ms", 1, "a lease of etcd has whole seconds, 2 to 3600"),
        ("--request-timeout 0s", 1, "must be longer than 0"),
        ("--poll-interval -1s", 1, "must be longer than 0"),
        ("--endpoint ftp://a:1", 1, "endpoint 'ftp://a:1': expected a host and a port"),
        ("--endpoint a:1,b:x", 1, "endpoint 'b:x': expected a host and a port"),
        ("--endpoint http://a:1 --tlscacert f", 1, "is without TLS, and files of TLS are given"),
        ("--tlscacert {here}/nosuch.pem", 1, "nosuch.pem: no such file or directory"),
        ("--tlscert {here}/nosuch.pem", 1, "a certificate for etcd needs its key"),
        ("--tlsverify=perhaps", 1, "expected true or false"),
    ],
)
def test_the_command_line(desk: Desk, words: str, status: int, said: str) -> None:
    done = desk.run(f"ikdemo infrakit-manager etcd {words.format(here=desk.root)}")
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == status


def test_without_an_answer_it_is_not_known_who_leads_and_nothing_is_done(desk: Desk) -> None:
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{closed.getsockname()[1]}"
        desk.start("infrakit-group-default", "group-stateless", "--store", "none")
        desk.start("infrakit-manager", "group", "etcd", "--endpoint", endpoint)
        group = desk.plugins / "group"
        told = asking.until(lambda: asking.ask(group, "Manager.Leader", {}))
        assert (told["Leads"], told["Store"]) == (False, "etcd")
        assert f"http://{endpoint}: connection refused" in told["Why"]
        with pytest.raises(Refused, match=r"^not-a-leader$"):
            spec = {"ID": "web", "Properties": {}}
            asking.ask(group, "Group.CommitGroup", {"Spec": spec, "Pretend": False})
        leader = desk.run("ikdemo leader")
        assert leader.returncode == 1
        assert leader.stdout.startswith("No leader is known; store etcd; ")
        assert desk.stop("group") == 0
    assert "Traceback" not in desk.log("group")
