"""Command lines taken apart as InfraKit's programs take them apart, and slips told in the same
sentences.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikdemo.cli.flags import Flag, duration, listed, parse, switch, whole_number, words_of
from ikdemo.cli.verbs.plugin_verbs import as_tags
from ikdemo.spi.durations import format_duration, parse_duration
from ikdemo.spi.errors import IkdemoError

FLAGS = (
    Flag("name", "", default="group", short="n"),
    Flag("quiet", "", switch, False, "q"),
    Flag("verbose", "", switch, False, "v"),
    Flag("size", "", whole_number, 0),
    Flag("tags", "", listed, ()),
    Flag("poll", "", duration, 10.0),
)


@pytest.mark.parametrize(
    ("line", "expected", "words"),
    [
        ("group ls", {"name": "group"}, ["group", "ls"]),
        ("--name x ls", {"name": "x"}, ["ls"]),
        ("ls --name=x", {"name": "x"}, ["ls"]),
        ("ls --name=", {"name": ""}, ["ls"]),
        ("ls --name -q", {"name": "-q", "quiet": False}, ["ls"]),
        ("-n x ls -nx", {"name": "x"}, ["ls"]),
        ("-qn=x ls", {"name": "x", "quiet": True}, ["ls"]),
        ("-qv ls", {"quiet": True, "verbose": True}, ["ls"]),
        ("ls --quiet=false", {"quiet": False}, ["ls"]),
        ("--size 3 --size 4", {"size": 4}, []),
        ("--tags a=1,b=2 --tags c=3", {"tags": ["a=1", "b=2", "c=3"]}, []),
        ("--poll 1m30s", {"poll": 90.0}, []),
        ("commit -- --name -q", {"name": "group"}, ["commit", "--name", "-q"]),
        ("commit -", {}, ["commit", "-"]),
    ],
)
def test_a_line_is_taken_apart(line: str, expected: dict[str, object], words: list[str]) -> None:
    parsed = parse(line.split(" "), FLAGS)
    assert {name: parsed.values[name] for name in expected} == expected
    assert parsed.words == words


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--nope", "unknown flag: --nope"),
        ("--nope=1", "unknown flag: --nope"),
        ("-qx", "unknown shorthand flag: 'x' in -qx"),
        ("ls --name", "flag needs an argument: --name"),
        ("ls -n", "flag needs an argument: 'n' in -n"),
        ("--=x", "bad flag syntax: --=x"),
        ("--size -1", 'invalid argument "-1" for --size: expected a whole number, 0 or more'),
        ("--size=1.5", 'invalid argument "1.5" for --size=1.5: expected a whole number, 0 or more'),
        ("--size ²", 'invalid argument "²" for --size: expected a whole number, 0 or more'),
        ("-q=maybe", 'invalid argument "maybe" for -q=maybe: expected true or false'),
        (
            "--poll 10",
            'invalid argument "10" for --poll: expected a duration such as 10s, 1m30s or 100ms',
        ),
        ('--tags "a', 'invalid argument ""a" for --tags: unexpected end of data'),
    ],
)
def test_a_slip_is_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(IkdemoError) as caught:
        parse(line.split(" "), FLAGS)
    assert str(caught.value) == sentence


def test_the_verb_is_found_behind_flags_whose_values_look_like_verbs() -> None:
    assert words_of(["--name", "group", "-q", "ls", "--tags", "commit", "x", "--", "y"], FLAGS) == [
        "ls",
        "x",
    ]


@given(
    st.lists(
        st.sampled_from(
            ["ls", "-", "-q", "-nx", "--name", "--name=", "--size", "3", "--", "--tags", "=", "-"]
        )
    )
)
def test_any_line_is_taken_apart_or_refused_in_one_sentence(argv: list[str]) -> None:
    try:
        parse(argv, FLAGS)
    except IkdemoError as error:
        assert str(error)
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text", ["", "s", "10", "1 s", "10S", "1s5", "--1s", "١s", "1e3s", "300000h" * 30]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.integers(1, 10**7))
def test_a_duration_that_was_written_is_read_back(seconds: int) -> None:
    assert abs(parse_duration(format_duration(seconds)) - seconds) < 60


def test_tags_follow_infrakit_even_where_a_value_gets_lost() -> None:
    assert as_tags(["a=1", "b", "c=", "k=v=w", "a=2"]) == {"a": "2", "b": "", "c": "", "k": ""}
