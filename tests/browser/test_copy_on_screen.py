"""The learner's copy in JupyterLab: reset without a loss, told when old, and run on once the
exercise is solved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asking import until
from playwright.sync_api import Locator, Page, expect
from screen import RAN, Screen, state
from served_lab import ServedLab

TYPE = """source => {
  const { content } = window.jupyterapp.shell.currentWidget;
  const turn = content.widgets.find(
    (cell) => cell.model.sharedModel.getSource().startsWith('# your turn'));
  turn.model.sharedModel.setSource(source);
}"""
MINE = "# your turn\n\nmine = 'typed by me'"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def sources(notebook: dict[str, Any]) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def told(page: Page, sentence: str) -> Locator:
    """Return the notification that says so."""
    return page.get_by_role("alert").filter(has_text=sentence)


def press_in_file_menu(page: Page, item: str) -> None:
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name=item).click()


def test_reset_brings_it_back_and_keeps_what_was_typed(
    screen: Screen, served_lab: ServedLab
) -> None:
    page, path = screen.page, served_lab.desk / "notebooks/02-commit.ipynb"
    delivered = sources(read(path))
    screen.open("notebooks/02-commit.ipynb")
    page.evaluate(TYPE, MINE)  # and not saved
    press_in_file_menu(page, "Reset This Notebook")
    expect(page.get_by_role("dialog")).to_contain_text(
        "What you typed is kept in the folder backups"
    )
    page.get_by_role("button", name="Cancel").click()
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save').then(() => 0)")
    assert MINE in sources(read(path))
    press_in_file_menu(page, "Reset This Notebook")
    page.get_by_role("button", name="Reset").click()
    expect(told(page, "What you typed is in backups/02-commit.ipynb")).to_be_visible()
    screen.shoot("reset")
    assert sources(read(path)) == delivered
    assert MINE in sources(read(served_lab.desk / "backups/02-commit.ipynb"))
    assert state(page) == ("notebooks/02-commit.ipynb", False)
    page.evaluate(TYPE, "second")
    press_in_file_menu(page, "Reset This Notebook")
    page.get_by_role("button", name="Reset").click()
    expect(told(page, "What you typed is in backups/02-commit-Copy1.ipynb")).to_be_visible()
    assert MINE in sources(read(served_lab.desk / "backups/02-commit.ipynb"))
    assert screen.problems() == []


def test_nothing_is_reset_when_it_cannot_be_backed_up(
    screen: Screen, served_lab: ServedLab
) -> None:
    page, path = screen.page, served_lab.desk / "notebooks/05-cattle-and-pets.ipynb"
    screen.open("notebooks/05-cattle-and-pets.ipynb")
    page.evaluate(TYPE, MINE)
    backups, aside = served_lab.desk / "backups", served_lab.desk / "aside"
    backups.rename(aside)
    backups.write_text("a file in the way")
    press_in_file_menu(page, "Reset This Notebook")
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("dialog")).to_contain_text("05-cattle-and-pets was not reset")
    screen.shoot("not-reset")
    backups.unlink()
    aside.rename(backups)
    page.get_by_role("button", name="Close", exact=True).click()
    assert MINE in page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.model.toString()"
    ).replace("\\n", "\n")
    assert MINE in sources(read(path))


def test_the_recorded_result_is_another_tab_without_a_kernel(
    screen: Screen, served_lab: ServedLab
) -> None:
    page = screen.page
    screen.open("notebooks/01-plugins.ipynb")
    press_in_file_menu(page, "Show the Recorded Result")
    expect(page.get_by_role("tab", name="01-plugins-recorded.ipynb")).to_be_visible()
    expect(
        page.get_by_text("Recorded. What you see here was measured on another machine.")
    ).to_be_visible()
    assert state(page) == ("recorded/01-plugins-recorded.ipynb", False)
    assert [session["path"] for session in served_lab.sessions()] == ["notebooks/01-plugins.ipynb"]
    page.locator(".jp-Notebook:visible a", has_text="01-plugins.ipynb").first.click()
    until(lambda: state(page)[0] == "notebooks/01-plugins.ipynb")


def test_a_notebook_of_another_version_says_so(screen: Screen, served_lab: ServedLab) -> None:
    page, path = screen.page, served_lab.desk / "notebooks/10-your-own-plugin.ipynb"
    old = read(path)
    old["cells"][-1]["source"] = "typed into an older one"
    old["metadata"]["ikdemo"]["cells"] = "0123456789abcdef"
    path.write_text(json.dumps(old))
    screen.open("notebooks/10-your-own-plugin.ipynb")
    sentence = told(page, "10-your-own-plugin is from another version, with what you typed.")
    expect(sentence).to_be_visible()
    screen.shoot("another-version")
    sentence.get_by_role("button", name="Reset").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    expect(told(page, "What you typed is in backups/10-your-own-plugin.ipynb")).to_be_visible()
    assert "typed into an older one" not in sources(read(path))
    assert screen.problems() == []


def test_run_all_goes_on_once_the_exercise_is_solved(screen: Screen, served_lab: ServedLab) -> None:
    page = screen.page
    screen.open("notebooks/00-welcome.ipynb")
    page.evaluate(TYPE, '# your turn\nlab.kill("collabnix", 5)\nlab.wait("collabnix")\nlowest = 0')
    screen.run_all(90)
    expect(
        page.get_by_text("Noted on your map: the exercise of 00-welcome is solved.")
    ).to_be_attached()
    assert all(done for _, done in page.evaluate(RAN))
    assert screen.problems() == []
    screen.shoot("map")


def test_a_notebook_opened_twice_asks_before_one_writes_over_the_other(
    screen: Screen, served_lab: ServedLab
) -> None:
    screen.open("notebooks/04-rolling-update.ipynb")
    second = screen.page.context.new_page()
    second.goto(
        served_lab.address("notebooks/04-rolling-update.ipynb").replace(
            "/lab/tree", "/lab/workspaces/second/tree"
        )
    )
    second.wait_for_selector(".jp-Notebook .jp-Cell", timeout=100_000)
    second.evaluate(TYPE, "# your turn\nsecond = 2")
    second.evaluate("window.jupyterapp.commands.execute('docmanager:save').then(() => 0)")
    screen.page.evaluate(TYPE, "# your turn\nfirst = 1")
    screen.page.evaluate("window.jupyterapp.commands.execute('docmanager:save'); 0")
    expect(screen.page.get_by_role("dialog")).to_contain_text("has changed on disk")
    screen.shoot("opened-twice")
    assert "# your turn\nsecond = 2" in sources(
        read(served_lab.desk / "notebooks/04-rolling-update.ipynb")
    )
    screen.page.get_by_role("button", name="Cancel").click()
    second.close()
