"""The example page: built as its author would, and readable by those who cannot see its picture."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page by the command that the documentation names."""
    folder = tmp_path_factory.mktemp("pages") / "site" / "recovery"  # not there yet
    (command,) = re.findall(
        r"^    python (examples/\S+) \S+$", (ROOT / "docs/embedding.md").read_text(), re.MULTILINE
    )
    done = subprocess.run(
        [sys.executable, command, folder], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_the_figure_is_xml_that_says_what_it_shows(built: Path) -> None:
    figure = ElementTree.fromstring((built / "recovery.svg").read_text())
    assert (figure.tag, figure.get("role")) == (f"{SVG}svg", "img")
    told = {
        node.get("id"): node.text for node in figure if node.tag in (f"{SVG}title", f"{SVG}desc")
    }
    assert (figure.get("aria-labelledby") or "").split() == list(told)
    title, words = told.values()
    assert title == "Group collabnix heals"
    assert re.match(
        r"Group collabnix: after a fault only \d of 5 slots were filled\. .* every slot was "
        r"filled again\.",
        words or "",
    )
    assert not re.search(r"\b20\d\d-\d\d|<dc:date", (built / "recovery.svg").read_text())


def test_the_page_holds_the_figure_once_and_tells_it_below(built: Path) -> None:
    page = ElementTree.fromstring((built / "page.html").read_text())
    assert page.get("lang") == "en"
    (figure,) = page.iter(f"{SVG}svg")
    assert page.findtext(".//figcaption") == figure.findtext(f"{SVG}desc")
    names = Counter(node.get("id") for node in page.iter() if node.get("id"))
    assert names.most_common(1)[0][1] == 1, "an id that is there twice leads a screen reader astray"


def test_the_markdown_page_links_the_figure_with_its_words(built: Path) -> None:
    alt, target = re.findall(r"!\[(.+)\]\((\S+)\)", (built / "page.md").read_text())[0]
    figure = ElementTree.fromstring((built / target).read_text())
    assert alt == figure.findtext(f"{SVG}desc")


def test_a_folder_that_cannot_be_written_is_a_sentence_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file")
    command = [sys.executable, ROOT / "examples/recovery_page.py", "site"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Nothing can be written into site: file exists\n"
