"""Texts that people read hold nothing that moves a cursor, turns a line around or cannot be
seen.
"""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ikdemo.spi.text import visible, visible_json

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
TEXTS = st.text() | st.text(st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")))


@given(TEXTS)
def test_nothing_is_left_that_cannot_be_seen(text):
    said = visible(text)
    assert not {unicodedata.category(char) for char in said} & UNSEEN
    assert visible(said) == said
    said.encode()  # no lone surrogate either


@given(TEXTS)
def test_a_text_of_several_lines_keeps_its_lines_and_no_more(text):
    assert {char for char in visible(text, keep="\n") if unicodedata.category(char) in UNSEEN} <= {
        "\n"
    }
    assert visible(text, keep="\n").count("\n") == text.count("\n")


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_what_can_be_seen_stays_as_it_is(text):
    assert visible(text) == text


@given(
    st.dictionaries(st.text(), st.text(st.characters(categories=("Cc", "Cf", "Zl", "Zp", "Co"))))
)
def test_escaped_json_means_the_same(document):
    said = visible_json(json.dumps(document, ensure_ascii=False, indent=2))
    assert json.loads(said) == document
    assert {char for char in said if unicodedata.category(char) in UNSEEN} <= {"\n"}
