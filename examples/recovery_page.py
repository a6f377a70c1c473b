"""Writes a page with a recovery figure that everybody can read: ``python examples/recovery_page.py
[FOLDER]``.

A real group of five loses two instances and heals. FOLDER is made if it is not there; without one
it is the present folder. The figure becomes ``recovery.svg``; ``page.md`` links to it, with its
words as the alt text, and ``page.html`` holds it inside, with its words as a caption.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

import ikdemo
from ikdemo.lab import Recovery, collabnix
from ikdemo.spi.errors import IkdemoError

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"/><title>{title}</title>\
<style>svg {{ max-width: 100%; height: auto }}</style></head>
<body>
<h1>{title}</h1>
<figure>
{svg}
<figcaption>{words}</figcaption>
</figure>
</body>
</html>
"""


def heal() -> Recovery:
    """Run the group and return what happened to it; nothing of it is left afterwards."""
    with ikdemo.Lab() as lab:
        lab.start()
        lab.commit(collabnix())
        lab.wait("collabnix")
        lab.kill("collabnix", 2)
        lab.wait("collabnix")
        return lab.recovery("collabnix")


def write(recovery: Recovery, folder: Path) -> None:
    """Write the figure and the two pages."""
    svg, words, title = recovery.svg(), recovery.words, recovery.title
    (folder / "recovery.svg").write_text(svg, encoding="utf-8")
    (folder / "page.md").write_text(f"# {title}\n\n![{words}](recovery.svg)\n", encoding="utf-8")
    (folder / "page.html").write_text(
        PAGE.format(title=escape(title), svg=svg, words=escape(words)), encoding="utf-8"
    )


def main(folder: Path) -> None:
    """Write everything into a folder, or end with the one sentence that says why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)  # before the group runs: a slip is told at once
        write(heal(), folder)
    except OSError as error:
        sys.exit(f"Nothing can be written into {folder}: {(error.strerror or str(error)).lower()}")
    except IkdemoError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
