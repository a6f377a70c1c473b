"""The facade of a lab: what a notebook may call, shown by help and completion with its words, and
parts that use of one another only what is public.
"""

from __future__ import annotations

import ast
import inspect
import pydoc
from pathlib import Path

import pytest

import ikdemo.lab
from ikdemo.lab import Lab

ROOM = Path(ikdemo.lab.__file__).parent
METHODS = {
    *("fresh", "start", "start_plugin", "start_script", "serve", "mute", "stop_plugin"),
    *("kill_plugin", "start_again", "is_process", "running_since", "plugins", "socket"),
    *("directory", "close", "reset", "run", "descriptors", "disown"),
    *("start_manager", "elect", "leader", "machines"),
    *("commit", "scale", "describe", "inspect", "free", "destroy", "why", "pause", "resume"),
    *("plan", "step", "wait", "instances", "health"),
    *("kill", "signal", "docker", "servers", "processes"),
    *("timeline", "watch", "dashboard", "rollout", "recovery", "measure", "check"),
}
PROPERTIES = {"root", "plugin_dir", "session", "line"}
SHOWN = (
    "_repr_html_",
    "_render_traceback_",
    "_repr_mimebundle_",
    "_ipython_display_",
    "_replace",
    "_asdict",
)
"""Names that begin with an underscore and are public: what IPython and named tuples call so."""


def test_it_has_every_method_and_no_other() -> None:
    assert {name for name in dir(Lab) if not name.startswith("_")} == METHODS | PROPERTIES


@pytest.mark.parametrize("name", sorted(METHODS))
def test_help_shows_what_a_method_does_and_takes(name: str) -> None:
    method = getattr(Lab, name)
    assert method.__name__ == name
    assert str(inspect.signature(method)) != "(self, *args, **kwargs)"
    shown = pydoc.plain(pydoc.render_doc(method))
    assert f"{name}(" in shown
    assert (inspect.getdoc(method) or "nothing").splitlines()[0] in shown


def test_no_part_uses_a_private_name_of_another() -> None:
    found = [
        f"{path.relative_to(ROOM)}:{node.lineno} {ast.unparse(node)}"
        for path in sorted(ROOM.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in SHOWN
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "Lab"))
    ]
    assert found == []
