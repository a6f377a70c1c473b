"""The pages' pictures: there, small, and told in words for those who cannot see them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
LARGEST = 200_000
"""Bytes of one picture: a clone and a page stay quick."""


def test_each_picture_is_there_is_small_and_is_told_in_words() -> None:
    shown = {
        (page.parent / path).resolve(): words
        for page in PAGES
        for words, path in re.findall(r"!\[([^\]]*)\]\(((?:docs/)?pictures/[^)]+)\)", page.read_text())
    }
    assert sorted(shown) == sorted((ROOT / "docs/pictures").iterdir())
    for path, words in shown.items():
        assert len(words) > 80, path
        assert path.read_bytes().startswith(b"\x89PNG"), path
        assert path.stat().st_size < LARGEST, path
