"""The pages' pictures: there, small, and told in words for those who cannot see them; the moving
one is as it was recorded.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from docs.pictures import healing
from docs.pictures.film import PLAY

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
LARGEST = 200_000
"""Bytes of one picture: a clone and a page stay quick."""
SVG = "{http://www.w3.org/2000/svg}"


def test_each_picture_is_there_is_small_and_is_told_in_words() -> None:
    shown = {
        (page.parent / path).resolve(): words
        for page in PAGES
        for words, path in re.findall(
            r"!\[([^\]]*)\]\(((?:docs/)?pictures/[^)]+)\)", page.read_text()
        )
    }
    kept = [path for path in (ROOT / "docs/pictures").iterdir() if path.suffix in (".png", ".svg")]
    assert sorted(shown) == sorted(kept)
    for path, words in shown.items():
        assert len(words) > 80, path
        assert path.read_bytes().startswith(b"\x89PNG" if path.suffix == ".png" else b"<svg "), path
        assert path.stat().st_size < LARGEST, path


def test_the_moving_picture_and_its_words_are_those_of_its_record() -> None:
    record = json.loads(healing.RECORD.read_text())
    film, page = healing.Film(record), " ".join((ROOT / "README.md").read_text().split())
    again = "run: python -m docs.pictures.healing"
    assert healing.SVG.read_text() == healing.draw(record), again
    assert f"![{film.words}](docs/pictures/healing.svg) *{film.caption}*" in page, again
    assert "recording" in film.caption
    assert record["date"] in film.caption


def test_the_moving_picture_says_what_it_shows_and_rests_for_whom_motion_is_too_much() -> None:
    picture = healing.SVG.read_text()
    root = ElementTree.fromstring(picture)
    film = healing.Film(json.loads(healing.RECORD.read_text()))
    assert film.words in (root.findtext(f"{SVG}desc") or "")
    assert root.findtext(f"{SVG}title")
    still, moving = picture.split("@media (prefers-reduced-motion: no-preference)")
    assert "animation" not in still
    assert "@keyframes" in moving
    assert "infinite" not in picture


def test_the_slots_are_counted_from_the_lives_that_were_recorded() -> None:
    record = json.loads(healing.RECORD.read_text())
    film = healing.Film(record)
    assert (
        min(film.filled(moment) for moment in film.changes())
        == record["fewest"]
        == healing.SIZE - healing.LOSSES
    )
    assert film.filled(-healing.BEFORE) == film.filled(film.whole) == healing.SIZE
    assert 0 < film.noticed < film.whole == max(bar.born for bar in film.bars)
    assert film.slower * film.length / 1000 >= PLAY
