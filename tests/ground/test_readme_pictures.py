"""The README's pictures: there, small, and told in words for those who cannot see them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LARGEST = 200_000
"""Bytes of one picture: a clone and a page stay quick."""


def test_each_picture_is_there_is_small_and_is_told_in_words() -> None:
    shown = re.findall(r"!\[([^\]]*)\]\((docs/[^)]+)\)", (ROOT / "README.md").read_text())
    assert sorted(path for _, path in shown) == sorted(str(one.relative_to(ROOT)) for one in (ROOT / "docs/pictures").iterdir())
    for words, path in shown:
        assert len(words) > 80, path
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG"), path
        assert (ROOT / path).stat().st_size < LARGEST, path
