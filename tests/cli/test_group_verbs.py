"""The verbs of a group against real plugin processes: commit, look, break, wait, explain, steer,
end.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest


@pytest.fixture
def three(desk):
    """Give a desk with the three plugins of a group running."""
    desk.start_three()
    return desk


def ok(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a command went well without a word on stderr, and return what it printed."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a command failed with exactly one fatal line, and return its message."""
    assert (done.returncode, done.stdout) == (1, ""), done
    found = re.fullmatch(r'time="[^"]+" level=fatal msg=("(?:[^"\\]|\\.)*"|\S+) \n', done.stderr)
    assert found, done.stderr
    return json.loads(found[1]) if found[1].startswith('"') else found[1]


def test_deleted_instances_come_back_and_the_wait_ends_then(three) -> None:
    three.put_spec("web.json", size=5)
    assert (
        ok(three.run("infrakit group commit --pretend web.json"))
        == "Committing web would involve: Managing 5 instances\n"
    )
    assert three.living() == []
    assert (
        ok(three.run("infrakit group commit web.json")) == "Committed web: Managing 5 instances\n"
    )
    assert re.fullmatch(
        r"(.*\n)*web is converged after .*\n", ok(three.run("ikdemo group wait web --timeout 10s"))
    )
    first = three.until(5)
    described = ok(three.run("infrakit group describe -q web")).splitlines()
    assert sorted(line.split()[0] for line in described) == first
    for name in first[:2]:
        (three.instances / name).unlink()
    assert "web is converged" in ok(three.run("ikdemo group wait web"))
    assert set(first[2:]) < set(three.until(5))
    assert not set(first[:2]) & set(three.living())
    assert (
        ok(three.run("ikdemo group why web"))
        == "web is converged: everything is as it was committed\n"
    )


def test_a_group_is_scaled_to_nothing_freed_and_destroyed(three) -> None:
    three.put_spec("web.json")
    ok(three.run("infrakit group watch web.json"))
    three.until(3)
    assert (
        ok(three.run("infrakit group scale web 0"))
        == "Scaled web to 0: Terminating 3 instances to reduce the group size to 0\n"
    )
    three.until(0)
    ok(three.run("infrakit group scale web 2"))
    three.until(2)
    assert ok(three.run("infrakit group unwatch web")) == "Freed web\n"
    assert ok(three.run("infrakit group ls")) == "ID\n"
    assert len(three.living()) == 2
    ok(three.run("infrakit group commit web.json"))
    assert ok(three.run("infrakit group destroy web")) == "destroy web initiated\n"
    assert three.living() == []


def test_a_paused_loop_shows_its_plan_and_makes_one_step(three) -> None:
    three.put_spec("web.json")
    ok(three.run("infrakit group commit web.json"))
    ok(three.run("ikdemo group wait web"))
    assert ok(three.run("ikdemo group plan web")) == "Nothing to do: web is converged\n"
    assert ok(three.run("ikdemo group pause web")) == "Paused web\n"
    (three.instances / three.until(3)[0]).unlink()
    plan = ok(three.run("ikdemo group plan web")).splitlines()
    assert plan[0].split() == ["ACTION", "SLOT", "INSTANCE", "REASON"]
    assert [plan[1].split()[0], plan[1].split()[-1], len(plan)] == ["provision", "missing", 2]
    why = ok(three.run("ikdemo group why web"))
    assert "missing" in why
    assert len(three.living()) == 2
    step = ok(three.run("ikdemo group step web")).splitlines()
    assert step[1].startswith("provision ")
    assert step[1].endswith("done")
    three.until(3)
    assert ok(three.run("ikdemo group resume web")) == "Resumed web\n"


def test_a_wait_that_ends_too_early_says_what_is_awaited(three) -> None:
    three.put_spec("web.json")
    ok(three.run("infrakit group commit web.json"))
    ok(three.run("ikdemo group wait web"))
    ok(three.run("ikdemo group pause web"))
    (three.instances / three.until(3)[0]).unlink()
    done = three.run("ikdemo group wait web --timeout 1s")
    assert done.returncode == 1
    assert "web is not as committed after 1s: " in done.stderr
    assert "slot" in done.stdout
    waiting = three.popen("ikdemo group wait web --timeout 20s")
    assert waiting.stdout is not None
    waiting.stdout.readline()  # it has looked, and waits
    ok(three.run("ikdemo group resume web"))
    printed, _ = waiting.communicate(timeout=100)
    assert waiting.returncode == 0
    assert "web is converged" in printed


def test_a_wait_outlives_an_instance_plugin_that_is_away(three) -> None:
    three.put_spec("web.json")
    ok(three.run("infrakit group commit web.json"))
    ok(three.run("ikdemo group wait web"))
    ok(three.run("ikdemo group pause web"))
    assert "web is converged" in ok(three.run("ikdemo group wait web"))  # paused, and as wanted
    ok(three.run("ikdemo group resume web"))
    three.stop("instance-file")
    (three.instances / three.living()[0]).unlink()
    waiting = three.popen("ikdemo group wait web --timeout 20s")
    assert waiting.stdout is not None
    assert "Plugin not found: instance-file" in waiting.stdout.readline()
    three.start("infrakit-instance-file", "instance-file", "--dir", str(three.instances))
    printed, _ = waiting.communicate(timeout=100)
    assert (waiting.returncode, len(three.until(3))) == (0, 3)
    assert "web is converged" in printed


def test_a_wait_outlives_a_restart_of_the_group_plugin(three) -> None:
    three.put_spec("web.json")
    ok(three.run("infrakit group commit web.json"))
    three.until(3)
    three.stop("group", signal.SIGKILL)
    (three.instances / three.living()[0]).unlink()
    waiting = three.popen("ikdemo group wait web --timeout 20s")
    assert waiting.stdout is not None
    assert waiting.stdout.readline()
    three.start("infrakit-group-default", "group", "--poll-interval", "1h")
    printed, _ = waiting.communicate(timeout=100)
    assert (waiting.returncode, len(three.until(3))) == (0, 3)
    assert "web is converged" in printed


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("infrakit group free web", "web was freed while it was waited for"),
        ("ikdemo group pause web", "web was paused while it was waited for: "),
        (
            "infrakit group destroy web",
            "web is being destroyed, so it will not be as it was committed: ",
        ),
    ],
)
def test_a_wait_that_is_overtaken_ends_and_says_by_what(three, command, said) -> None:
    three.put_spec("web.json")
    ok(three.run("infrakit group commit web.json"))
    ok(three.run("ikdemo group wait web"))
    three.stop("instance-file")  # so that it cannot be as wanted
    waiting = three.popen("ikdemo group wait web --timeout 45s")
    assert waiting.stdout is not None
    waiting.stdout.readline()  # it has looked, and waits
    three.run(command)
    _, stderr = waiting.communicate(timeout=100)
    assert waiting.returncode == 1
    assert f'msg="{said}' in stderr


def test_a_group_that_cannot_be_destroyed_is_seen_and_can_be_let_go(three) -> None:
    three.put_spec("web.json")
    ok(three.run("infrakit group commit web.json"))
    ok(three.run("ikdemo group wait web"))
    assert ok(three.run("ikdemo group ls")).split() == ["ID", "STATE", "web", "converged"]
    left = three.living()
    three.stop("instance-file")
    said = refused(three.run("infrakit group destroy web"))
    assert "Group 'web' is marked for destruction" in said
    assert said.endswith("; to let it go at once: ikdemo group free --force web")
    said = refused(three.run("infrakit group commit web.json"))
    assert (
        said
        == "Group 'web' is being destroyed; to let it go at once: ikdemo group free --force web"
    )
    why = ok(three.run("ikdemo group why web"))
    assert "the group is being destroyed" in why
    assert "Plugin not found: instance-file" in why
    assert why.splitlines()[-1].endswith("ikdemo group free --force web")
    assert ok(three.run("ikdemo group ls")).splitlines()[1].split(maxsplit=1) == [
        "web",
        "being destroyed",
    ]
    assert refused(three.run("ikdemo group free web")).startswith(
        "Group 'web' is being destroyed; to let it go at once"
    )
    freed = ok(three.run("ikdemo group free --force web")).splitlines()
    assert freed[0] == "Freed web"
    assert "Plugin not found: instance-file" in freed[1]
    assert ok(three.run("infrakit group ls -q")) == ""
    three.start("infrakit-instance-file", "instance-file", "--dir", str(three.instances))
    ok(three.run("infrakit group commit web.json"))
    assert three.until(3) == left
    assert (
        ok(three.run("ikdemo group free --force web"))
        == f"Freed web\nNothing keeps these any more: {', '.join(left)}\n"
    )


BAD_SPECS = (
    ("{“ID”: “web”}", r"g\.json: not JSON: line 1 holds curly quotes.*"),
    ('{"ID": "web",}', r"g\.json: not JSON: .* line 1, column 14"),
    ("", r"g\.json: unexpected end of JSON input"),
    ('{"ID": 5}', r"g\.json: \$\.ID: expected a string, got a whole number"),
    ("[]", r"g\.json: \$: expected an object, got a list"),
    ('{"ID": ""}', r"Group ID must not be blank"),
    (
        '{"ID": "web", "Properties": {"Allocation": {"Size": -1}}}',
        r".*\$\.Properties\.Allocation\.Size.*",
    ),
    (
        '{"ID": "web", "Properties": {"Allocation": {"Size": 1.5}}}',
        r".*\$\.Properties\.Allocation\.Size.*whole number.*",
    ),
    (
        '{"ID": "web", "Properties": {"Allocation": {"Size": 1, "LogicalIDs": ["a"]}}}',
        "Only one Allocation method may be used",
    ),
    (
        '{"ID": "web", "Properties": {"Allocation": {"Size": 1}, "Flavor": {"Plugin": "no"}}}',
        ".*Plugin not found: no",
    ),
)


def test_a_bad_spec_is_one_sentence_and_changes_nothing(three) -> None:
    for text, sentence in BAD_SPECS:
        (three.cwd / "g.json").write_text(text)
        assert re.fullmatch(sentence, refused(three.run("infrakit group commit g.json"))), text
    assert ok(three.run("infrakit group ls -q")) == ""
    assert three.living() == []


def test_bytes_that_are_no_text_are_refused_with_their_line(three) -> None:
    (three.cwd / "g.json").write_bytes(b'{"ID":\n"\xff"}')
    assert (
        refused(three.run("infrakit group commit g.json"))
        == "g.json: not UTF-8 text: line 2 holds the byte 0xff"
    )


IMPOSSIBLE = (
    ("ikdemo group why nope", "Group 'nope' is not being watched"),
    ("ikdemo group wait nope", "Group 'nope' is not being watched"),
    ("infrakit group scale nope 3", "Group 'nope' is not being watched"),
    ("infrakit group scale nope many", 'invalid size "many": expected a whole number, 0 or more'),
    ("ikdemo group why --name instance-file x", "Plugin does not support interface {Group 0.1.0}"),
    (
        "ikdemo group describ x",
        'unknown command "describ" for "ikdemo group"\n\nDid you mean this?\n\tdescribe\n',
    ),
    (
        "ikdemo group wait x --timeout soon",
        'invalid argument "soon" for --timeout: expected a duration such as 10s, 1m30s or 100ms',
    ),
)


def test_what_cannot_be_done_is_one_sentence(three) -> None:
    for line, sentence in IMPOSSIBLE:
        assert refused(three.run(line)) == sentence


def test_a_wrong_number_of_arguments_shows_the_page_on_stderr_after_the_plugin_was_found(
    desk,
) -> None:
    assert refused(desk.run("infrakit group commit")) == "Plugin not found: group"
    desk.start("infrakit-group-default", "group")
    done = desk.run("infrakit group commit")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Make a group as FILE says")
    forgiving = desk.run("infrakit group nope")
    assert forgiving.returncode == 0
    assert "Usage: infrakit group VERB" in forgiving.stdout
    assert 'unknown command \\"nope\\"' in forgiving.stderr


def test_a_spec_comes_from_standard_input_a_file_url_and_with_a_byte_order_mark(three) -> None:
    spec = (
        '{"ID": "web", "Properties": {"Allocation": {"Size": 1}, "Instance": {"Plugin": '
        '"instance-file", "Properties": {}},'
    )
    spec += ' "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}}}}'
    (three.cwd / "a b.json").write_text("\ufeff" + spec)
    done = [three.run("infrakit group commit --pretend -", stdin=spec)]
    done.append(three.run(f"infrakit group commit --pretend file://{three.cwd}/a%20b.json"))
    assert [one.stdout for one in done] == [
        "Committing web would involve: Managing 1 instances\n"
    ] * 2, done
    assert refused(three.run("infrakit group commit -", stdin="ID: web\n")).startswith(
        "-: not JSON: this is YAML"
    )
    assert "curl -fsSL" in refused(
        three.run("infrakit group commit https://example.invalid/web.json")
    )
