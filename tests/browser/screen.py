"""What a learner sees and does in JupyterLab: a notebook in Chromium, run, resized, darkened,
photographed, and judged.

What lives only here: how the parts of JupyterLab's page are found. Used by the browser tests and by
``tour``.
"""

from __future__ import annotations

from pathlib import Path

from asking import until
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, Page, Request
from served_lab import ServedLab

IDLE = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
BAD = (
    '[data-mime-type="application/vnd.jupyter.stderr"], '
    '[data-mime-type="application/vnd.jupyter.error"], .jp-RenderedText .error'
)
RUN = """async (seconds) => {
  const late = new Promise(done => setTimeout(() => done(false), 1000 * seconds));
  const run = async () => {
    const context = window.jupyterapp.shell.currentWidget.context.sessionContext;
    await context.ready;
    await context.session.kernel.info;
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
    return true;
  };
  return Promise.race([run(), late]);
}"""
"""Runs every cell of a kernel that has answered: before, JupyterLab drops them in silence."""
WIDE = """() => {
  const name = (box) => box.className || box.tagName;
  const told = (box) =>
    `${name(box)}: ${box.scrollWidth} px of content in ${box.clientWidth} px`;
  const boxes = document.querySelectorAll(
    'html, .jp-WindowedPanel-outer, .jp-OutputArea-output, .jp-RenderedMarkdown');
  return [...boxes].filter((box) => box.scrollWidth > box.clientWidth + 1).map(told);
}"""
DRAWN = (
    "() => window.jupyterapp.shell.currentWidget?.content.widgets?.every((cell) => "
    "!cell.placeholder)"
)
NAMELESS = """() => {
  const named = (one) => one.getAttribute('alt') || one.getAttribute('aria-label')
    || one.getAttribute('aria-labelledby');
  const inside = (place) => [...document.querySelectorAll(`.jp-Notebook ${place}`)];
  const shown = [...inside('.jp-OutputArea-output img'), ...inside('.jp-RenderedMarkdown img'),
    ...inside('svg[role=img]')];
  return shown.filter((one) => !named(one)).map((one) => one.outerHTML.slice(0, 120));
}"""
HEALED = 'svg[role="img"][aria-label*="whole again"]'
CLOSE_ALL = """async () => {
  const { commands, shell } = window.jupyterapp;
  // what is in sight goes last: a toolbar that is shown and closed at once breaks in JupyterLab
  const open = [...shell.widgets('main')].sort((one, two) => one.isVisible - two.isVisible);
  for (const one of open) {
    if (one.context) {
      await one.context.ready;
      await one.context.sessionContext.ready;  // a kernel that just begins would complain later
      one.context.model.dirty = false;  // or a dialog would ask
    }
    one.id === 'ikdemo-stage' ? one.close() : one.dispose();
  }
  if (document.body.dataset.jpThemeLight === 'false') {
    await commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' });
  }
  await new Promise((done) => setTimeout(done));
}"""
OPEN_ALONE = """async (path) => {
  const { commands, shell } = window.jupyterapp;
  const opened = await commands.execute('docmanager:open', { path });
  for (const one of [...shell.widgets('main')]) if (one !== opened) one.dispose();
  shell.activateById(opened.id);  // a launcher that came late may have been the current one
}"""
"""Opens a notebook where nothing is open, but for the launcher."""
PICTURES = ".jp-Notebook .jp-OutputArea-output img, .jp-Notebook svg[role=img]"
OUTPUTS = ".jp-OutputArea-output"
RAN = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter((cell) => cell.model.type === 'code')
  .map((cell) => [cell.model.sharedModel.getSource(), cell.model.executionCount !== null])"""
"""Gives the source of each code cell, and whether it was run."""
STATE = (
    "() => { const shown = window.jupyterapp.shell.currentWidget; return "
    "[shown.context.path, shown.model.dirty]; }"
)
TALLEST = 16000
"""Pixels; Chromium draws nothing below 16384."""


class Screen:
    """One browser tab on one JupyterLab; ``shots`` is where pictures of it are kept, if any are."""

    def __init__(self, page: Page, lab: ServedLab, shots: Path | None) -> None:
        self.page, self._lab, self.shots = page, lab, shots
        self.broken: list[str] = []
        """Errors that were not handled, as the browser's console shows them."""
        self.outside: list[str] = []
        """What the page asked of any other machine."""
        page.on("pageerror", self._note_broken)
        page.on("request", self._note_outside)

    def stop_listening(self) -> None:
        """Note nothing more of what the page does."""
        self.page.remove_listener("pageerror", self._note_broken)
        self.page.remove_listener("request", self._note_outside)

    def _note_broken(self, error: Error) -> None:
        self.broken.append(str(error))

    def _note_outside(self, request: Request) -> None:
        if not request.url.startswith(
            (self._lab.url, self._lab.url.replace("http", "ws"), "data:", "blob:", "file:")
        ):
            self.outside.append(request.url)

    def look_at(self, notebook: str) -> None:
        """Open a notebook alone, and do not wait for its kernel; JupyterLab is loaded if the tab
        does not have it.
        """
        if self.page.url.startswith(f"{self._lab.url}lab"):
            self.close_all()
            self.page.evaluate(OPEN_ALONE, notebook)
        else:
            self.page.goto(self._lab.address(notebook))
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=100_000)

    def open(self, notebook: str) -> None:
        """Open a notebook alone and wait until its kernel is ready."""
        self.look_at(notebook)
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        """Wait until the page and the server both say that the kernel is idle: the page alone says
        so too early.
        """
        self.page.wait_for_selector(IDLE, state="attached", timeout=100_000)
        until(lambda: any(self.is_ready(session["kernel"]) for session in self._lab.sessions()), 60)

    @staticmethod
    def is_ready(kernel: dict[str, object]) -> bool:
        """Say whether a kernel, as the server tells of it, waits for cells."""
        return kernel["execution_state"] == "idle" and bool(kernel["connections"])

    def run_all(self, within: float) -> None:
        """Run every cell, as the menu does; ``within`` is in seconds."""
        assert self.page.evaluate(RUN, within), f"not every cell ended within {within} s"

    def problems(self) -> list[str]:
        """Return every error, warning and lost widget that the page shows."""
        bad = self.page.locator(BAD).all_inner_texts()
        lost = self.page.get_by_text("Error displaying widget").all_inner_texts()
        return [*bad, *lost, *self.broken]

    def nameless(self) -> list[str]:
        """Return the pictures that say nothing to a learner who cannot see them."""
        found: list[str] = self.page.evaluate(NAMELESS)
        return found

    def barriers(self, part: str) -> list[str]:
        """Return what axe finds in every such part of the page that keeps people out: the rule, and
        the element.
        """
        found = Axe().run(self.page, context={"include": [[part]]}).response["violations"]
        return [
            f"{one['id']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
            for one in found
            for node in one["nodes"]
        ]

    def too_wide(self) -> list[str]:
        """Return what has to be scrolled sideways in the window as wide as it is."""
        found: list[str] = self.page.evaluate(WIDE)
        return found

    def close_all(self) -> None:
        """Close whatever is open in JupyterLab, unsaved or not, and bring the light theme back."""
        if self.page.url.startswith(f"{self._lab.url}lab"):
            self.page.evaluate(CLOSE_ALL)

    def close_stage(self) -> None:
        """Close the panel beside the notebook, so that every view is in its cell."""
        self.page.evaluate(
            "[...window.jupyterapp.shell.widgets('main')].find((one) => one.id === "
            "'ikdemo-stage')?.close()"
        )

    def unroll(self, width: int) -> None:
        """Make the window so wide, and so high that every cell is drawn: what is out of sight may
        not exist otherwise.
        """
        self._resize(width, TALLEST)
        self.page.wait_for_function(DRAWN)
        bottom = self.page.locator(".jp-Notebook .jp-Cell").last.bounding_box()
        assert bottom is not None
        self._resize(width, min(int(bottom["y"] + bottom["height"]) + 60, TALLEST))

    def _resize(self, width: int, height: int) -> None:
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def theme(self, name: str) -> None:
        """Change to the Light or the Dark theme."""
        command = (
            "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: "
            "`JupyterLab ${name}`})"
        )
        self.page.evaluate(command, name)
        light = "true" if name == "Light" else "false"
        self.page.wait_for_selector(
            f'body[data-jp-theme-light="{light}"]', state="attached", timeout=100_000
        )

    def shoot(self, name: str) -> None:
        """Keep a picture of what the window shows, where pictures are kept."""
        if self.shots is not None:
            self.page.screenshot(path=self.shots / f"{name}.png", animations="disabled")


def state(page: Page) -> tuple[str, bool]:
    """Return the path of the notebook in use, and whether it has changes that are not saved."""
    path, dirty = page.evaluate(STATE)
    return path, dirty
