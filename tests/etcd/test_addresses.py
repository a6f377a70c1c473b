"""Endpoints and files of TLS: what cannot be used is one sentence, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikdemo.etcd.addresses import MOST, TlsFiles, read_addresses, read_tls
from ikdemo.spi.errors import IkdemoError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("etcd-1", "http://etcd-1:2379"),
        (" 10.0.0.1:99 ", "http://10.0.0.1:99"),
        ("https://etcd-1/", "https://etcd-1:2379"),
        ("[fe80::1]:2379", "http://[fe80::1]:2379"),
    ],
)
def test_an_endpoint_is_read(text: str, address: str) -> None:
    assert [str(found) for found in read_addresses([text], tls=False)] == [address]


@pytest.mark.parametrize(
    "text",
    [
        *("ftp://a:1", "a:0", "a:70000", "a:b", "http://", "a:1/path", "a:1?b", "u:p@a:1"),
        *("[::1", "caf\u00e9:1", "a b:1", "://a", "http://http://a:1", "\x1b[1m:1", "::1:2379"),
    ],
)
def test_an_endpoint_that_makes_no_sense_is_one_sentence(text: str) -> None:
    with pytest.raises(IkdemoError) as caught:
        read_addresses([text], tls=False)
    said = str(caught.value)
    assert said.startswith("endpoint ")
    assert "expected a host and a port" in said
    assert said.isprintable()


def test_the_same_endpoint_twice_is_one_and_none_is_too_few() -> None:
    assert len(read_addresses(["a:1", "http://a:1"], tls=False)) == 1
    for none in ([], ["", " "]):
        with pytest.raises(IkdemoError, match="needs an endpoint"):
            read_addresses(none, tls=False)
    with pytest.raises(IkdemoError, match="no more than 16"):
        read_addresses([f"a:{port}" for port in range(1, MOST + 2)], tls=False)


def test_files_of_tls_make_every_address_one_of_tls() -> None:
    (address,) = read_addresses(["a:1"], tls=True)
    assert address.tls
    with pytest.raises(IkdemoError, match="without TLS"):
        read_addresses(["http://a:1"], tls=True)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    missing, broken = str(tmp_path / "missing.pem"), tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    folder, bad = str(tmp_path), str(broken)
    for files, said in (
        (TlsFiles(authority=missing), f"cannot be read: {missing}: no such file"),
        (TlsFiles(authority=bad), f"cannot be used: {bad}: "),
        (TlsFiles(authority=folder), folder),
        (TlsFiles(certificate=bad), "a certificate for etcd needs its key"),
        (TlsFiles(key=bad), "a certificate for etcd needs its key"),
        (TlsFiles(certificate=missing, key=bad), f"cannot be read: {missing} or {bad}: "),
        (TlsFiles(certificate=bad, key=bad), f"cannot be used: {bad} and {bad}: "),
    ):
        with pytest.raises(IkdemoError) as caught:
            read_tls(files)
        assert said in str(caught.value)
        assert "_ssl.c" not in str(caught.value)
