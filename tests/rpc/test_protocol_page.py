"""The protocol page names what is really served, and its examples hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ikdemo.rpc.methods import METHODS
from ikdemo.spi.config_sha import config_sha

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("wire", [method.wire for method in METHODS])
def test_every_method_is_described(wire: str) -> None:
    assert wire in PAGE


def test_its_hash_is_right() -> None:
    examples = re.findall(r"config_sha\('(.*?)'\)` is `(.*?)`", PAGE)
    assert [(text, config_sha(text)) for text, _ in examples] == examples
    assert examples
