"""What people give in place of JSON is recognised by name; what is JSON never is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from ikdemo.lab.teaching.specs import collabnix, text_of
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import IkdemoError, SpecError
from ikdemo.spi.sources import file_of, lookalike, plain

OTHERS = (
    ("ID: web\nProperties: {}\n", "this is YAML"),
    ("# the web group\n\n---\nID: web\n", "this is YAML"),
    ("- ID: web\n", "this is YAML"),
    ('{"ID": {{ .name }}, "Properties": {}}', r"line 1 holds \{\{, so this is a template"),
    (
        '{\n"ID": "web",\n{% if big %}\n"Properties": {}}',
        r"line 3 holds \{%, so this is a template",
    ),
    ('{{ source "common.ikt" }}\n{"ID": "web"}', r"line 1 holds \{\{, so this is a template"),
    ('{\n  "ID": "web"  // the name\n}', "line 2 holds a comment"),
    ('// the web group\n{"ID": "web"}', "line 1 holds a comment"),
    ('# the web group\n{"ID": "web"}', "line 1 holds a comment"),
    ('{"ID": /* name */ "web"}', "line 1 holds a comment"),
    ("{'ID': 'web'}", "line 1 holds single quotes"),
    ('{"ID": "web", "Properties": None}', "line 1 is Python"),
    ("<!DOCTYPE html>\n<title>404</title>", "this is HTML or XML"),
)


@pytest.mark.parametrize(("text", "said"), OTHERS, ids=[said for _, said in OTHERS])
def test_what_is_not_json_is_recognised(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=f"not JSON: {said}"):
        decode(text.encode(), GroupSpec)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_never_taken_for_something_else(value: object) -> None:
    assert lookalike(json.dumps({"a": value})) == ""


def test_texts_that_look_like_comments_and_templates_may_stand_in_strings() -> None:
    assert decode(b'{"Init": "# {{ .x }} // see http://x, \'y\' None"}', Raw)


def test_a_byte_order_mark_is_taken_off_and_another_encoding_is_named() -> None:
    assert plain(b'\xef\xbb\xbf{"ID":"web"}') == b'{"ID":"web"}'
    for encoding in ("utf-16", "utf-16-be"):
        raw = '\ufeff{"ID":"web"}'.encode(encoding)
        with pytest.raises(SpecError, match="UTF-16"):
            plain(raw)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http://example.invalid/g.json", "curl -fsSL http://example.invalid/g.json -o spec.json"),
        ("HTTPS://example.invalid/g.json", "Fetch it yourself"),
        ("s3://bucket/g.json", "give the name of a file"),
        ("file://elsewhere/g.json", "a file of another machine"),
    ],
)
def test_an_address_is_refused_with_what_to_do(name: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        file_of(name)
    with pytest.raises(SpecError, match=said):
        text_of(name)


def test_a_notebook_reads_what_a_terminal_reads(tmp_path, monkeypatch) -> None:
    spec = json.dumps(collabnix())
    (tmp_path / "my web.json").write_text("\ufeff" + spec)
    monkeypatch.chdir(tmp_path)
    for given_as in (
        "my web.json",
        tmp_path / "my web.json",
        f"file://{tmp_path}/my%20web.json",
        spec,
        "\ufeff" + spec,
    ):
        assert decode(text_of(given_as).encode(), GroupSpec).id == "collabnix"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        [collabnix()],
        {"ID": {1, 2}},
        {"ID": float("nan")},
        "-",
        "no\0name",
        b"{}",
        "none.json",
    ],
)
def test_what_is_no_spec_at_all_is_one_sentence(wrong) -> None:
    with pytest.raises(IkdemoError) as refused:
        text_of(wrong)
    assert "\n" not in str(refused.value)
