"""The stage beside the notebook: seen at every kill in windows of three sizes, it follows the
notebook that is in use.
"""

from __future__ import annotations

import pytest
from asking import until
from playwright.sync_api import Locator, Page, expect
from screen import Screen
from served_lab import ServedLab

SIZES = ((1366, 768), (1920, 1080), (900, 700))
KILLS = 3
WATCH = """() => {
  const visible = (node) => {
    const box = node.getBoundingClientRect();
    const stage = document.querySelector('#ikdemo-stage').getBoundingClientRect();
    const across = Math.min(box.right, stage.right, innerWidth) - Math.max(box.left, stage.left, 0);
    const down = Math.min(box.bottom, stage.bottom, innerHeight) - Math.max(box.top, stage.top, 0);
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    const middle = document.elementFromPoint(x, y);
    const covered = !document.querySelector('#ikdemo-stage').contains(middle);
    const seen = covered ? 0 : Math.max(0, across) * Math.max(0, down);
    return { all: box.width * box.height, seen };
  };
  const share = () => {
    const parts = ['.ik-picture', '[role=status]', '.ik-replay']
      .map((part) => document.querySelector(`#ikdemo-stage ${part}`));
    const sizes = parts.filter((part) => part?.offsetHeight).map(visible);
    const total = (part) => sizes.reduce((sum, one) => sum + one[part], 0);
    return total('seen') / total('all');
  };
  window.kills = {};
  const look = () => {
    for (const row of document.querySelectorAll('table[aria-label="The last events"] tr')) {
      if (row.innerText.includes('FAULT') && !(row.innerText in window.kills)) {
        window.kills[row.innerText] = document.querySelector('#ikdemo-stage') ? share() : 0;
      }
    }
    due = false;
  };
  let due = false;
  new MutationObserver(() => {
    if (!due) requestAnimationFrame(look);
    due = true;
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
  look();
}"""
"""Notes at the first sight of each kill among the last events which share of picture, reason and
replay can be seen: in the frame that follows a change of the page.
"""
WHERE = """() => {
  const boxOf = (one) => document.querySelector(one).getBoundingClientRect();
  const [notebook, stage] = ['.jp-NotebookPanel', '#ikdemo-stage'].map(boxOf);
  if (notebook.right <= stage.left) return 'left';
  return notebook.top >= stage.bottom ? 'below' : 'elsewhere';
}"""
"""Says where the notebook is, seen from the stage."""
TOLD = "#ikdemo-stage svg[role=img][aria-label*='{}']"
START = (
    "from ikdemo.lab import Lab, collabnix\nlab = "
    "Lab.fresh()\nlab.start()\nlab.commit(collabnix(group='{0}'))\nlab.wait('{0}')"
)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_at_every_kill_the_stage_is_in_sight(
    fresh_screen: Screen, served_lab: ServedLab, width: int, height: int
) -> None:
    screen, page = fresh_screen, fresh_screen.page
    page.set_viewport_size({"width": width, "height": height})
    page.goto(served_lab.door)
    screen.wait_for_kernel()
    page.evaluate(WATCH)
    page.locator(".jp-Notebook .jp-MarkdownCell").first.click()
    for _ in range(6):  # to the end of the cell with the words, beyond the one that kills
        page.keyboard.press("Shift+Enter")
    until(lambda: len(page.evaluate("window.kills")) >= KILLS, 100)
    screen.shoot(f"stage-{width}-light")
    shares = page.evaluate("window.kills")
    print({told.split("\t")[0]: f"{share:.0%}" for told, share in shares.items()})
    assert all(share >= 0.95 for share in shares.values()), shares
    page.wait_for_selector(TOLD.format("whole again"), state="attached")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-below').then(() => 0)")
    page.locator(".jp-Notebook .jp-Cell").last.scroll_into_view_if_needed()
    screen.theme("Dark")
    screen.shoot(f"stage-{width}-dark")
    expect(page.locator("#ikdemo-stage .ik-picture svg").first).to_be_in_viewport(ratio=0.95)
    assert screen.problems() == []


def test_it_follows_the_cells_the_notebooks_and_a_restart(
    screen: Screen, served_lab: ServedLab
) -> None:
    page = screen.page
    served_lab.write("one.ipynb", [START.format("one"), "lab.watch('one')", "lab.dashboard('one')"])
    served_lab.write("two.ipynb", [START.format("two"), "lab.watch('two')"])
    screen.open("one.ipynb")
    screen.run_all(60)
    tells(page, "Group one: as wanted.")
    expect(page.locator(".jp-OutputArea .ik-line")).to_contain_text(
        [
            "Live view of group one: another one has taken its place",
            "Dashboard of group one: on the stage",
        ]
    )
    expect(page.get_by_role("button", name="kill one")).to_have_count(1)

    page.evaluate(
        "window.jupyterapp.commands.execute('docmanager:open', {path: 'two.ipynb'}).then(() => 0)"
    )
    until(
        lambda: len([one for one in served_lab.sessions() if screen.is_ready(one["kernel"])]) == 2,
        60,
    )
    tab(page, "two.ipynb").click()
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )
    screen.run_all(60)
    tells(page, "Group two: as wanted.")
    expect(page.locator(TOLD.format("Group one"))).not_to_be_visible()
    tab(page, "one.ipynb").click()
    tells(page, "Group one: as wanted.")
    expect(page.locator(TOLD.format("Group two"))).not_to_be_visible()
    expect(page.get_by_role("tab", name="Stage: one")).to_have_count(1)

    # the menus are still the notebook's afterwards
    page.get_by_role("button", name="kill one").first.click()
    restart(page)
    expect(page.locator("#ikdemo-stage")).to_contain_text(
        "has ended or begun anew. Run the first code cell again"
    )
    expect(page.locator("#ikdemo-stage button").filter(visible=True)).to_have_count(0)
    expect(
        page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea img[alt^='Group one']")
    ).to_have_count(2)
    screen.run_all(60)
    tells(page, "Group one: as wanted.")
    page.evaluate("window.jupyterapp.commands.execute('kernelmenu:shutdown').then(() => 0)")
    expect(page.locator("#ikdemo-stage")).to_contain_text("has ended or begun anew.")
    assert screen.problems() == []


def test_the_first_cell_again_and_a_reload_bring_the_group_back(
    screen: Screen, served_lab: ServedLab
) -> None:
    page = screen.page
    served_lab.write(
        "one.ipynb", [f"{START.format('one')}\ndisplay(lab.watch('one'))\nlab.kill('one')"]
    )
    screen.open("one.ipynb")
    for _ in range(2):
        screen.run_all(60)
        tells(page, "whole again")
    expect(page.locator(".jp-OutputArea .ik-line")).to_contain_text(
        "Live view of group one: on the stage"
    )
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()  # nothing was saved: the cell shows nothing, and its group lives
    screen.wait_for_kernel()
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)
    tells(page, "Group one: as wanted.")
    assert screen.problems() == []


def test_a_stage_that_is_closed_gives_the_view_back_to_its_cell(
    screen: Screen, served_lab: ServedLab
) -> None:
    page = screen.page
    served_lab.write("one.ipynb", [START.format("one"), "lab.dashboard('one')"])
    screen.open("one.ipynb")
    screen.run_all(60)
    tells(page, "Group one: as wanted.")
    tab(page, "Stage: one").locator(".lm-TabBar-tabCloseIcon").click()
    page.locator(".jp-OutputArea").get_by_role("button", name="kill one").click()
    expect(page.locator(".jp-OutputArea")).to_contain_text(["one is as wanted", "Killed 1: slot"])
    screen.shoot("stage-closed")
    page.get_by_role("button", name="Open the stage").click()
    tells(page, "whole again")
    assert page.evaluate("document.activeElement.id") == "ikdemo-stage"
    expect(page.locator(".jp-OutputArea").get_by_role("button", name="kill one")).to_have_count(0)
    assert screen.problems() == []


def test_a_window_that_becomes_narrow_has_the_stage_above_the_notebook(
    screen: Screen, served_lab: ServedLab
) -> None:
    page = screen.page
    served_lab.write("one.ipynb", [START.format("one"), "lab.watch('one')"])
    screen.open("one.ipynb")
    screen.run_all(60)
    tells(page, "Group one: as wanted.")
    for width, where in ((1400, "left"), (900, "below"), (1400, "left")):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(f"({WHERE})() === '{where}'")
        expect(page.locator("#ikdemo-stage .ik-picture svg")).to_be_in_viewport(ratio=0.95)
        screen.shoot(f"stage-resized-{width}")
    assert screen.problems() == []


def tells(page: Page, words: str) -> None:
    """Wait until the picture on the stage can be seen and says so."""
    expect(
        page.locator(f".ik-picture {TOLD.format(words).partition(' ')[2]}").filter(visible=True)
    ).to_have_count(1)


def tab(page: Page, name: str) -> Locator:
    return page.locator(".lm-DockPanel-tabBar").get_by_role("tab", name=name)


def restart(page: Page) -> None:
    page.get_by_role("menuitem", name="Kernel").click()
    page.get_by_text("Restart Kernel…", exact=True).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
