"""The table's two faces: aligned text and escaped HTML."""

from __future__ import annotations

from ikdemo.lab.show.tables import Table


def test_html_is_escaped_and_says_what_is_a_heading() -> None:
    html = Table(["<name>"], [["<script>alert(1)</script>"]])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert '<th scope="col"' in html


def test_a_table_without_rows_is_a_sentence_in_both_faces() -> None:
    table = Table(["name"], [], empty="No <group> yet.")
    assert repr(table) == "No <group> yet."
    assert table._repr_html_() == "<p>No &lt;group&gt; yet.</p>"


def test_columns_line_up_without_trailing_blanks() -> None:
    text = repr(Table(["a", "b"], [["long value", 1], ["x", 22]]))
    assert text.splitlines() == ["a           b", "long value  1", "x           22"]


def test_rows_and_columns_can_be_used() -> None:
    table = Table(["slot", "id"], [[0, "i-1"], [1, "i-2"]])
    assert (len(table), list(table), table.column("id")) == (
        2,
        [["0", "i-1"], ["1", "i-2"]],
        ["i-1", "i-2"],
    )


def test_of_a_long_table_the_ends_are_shown_and_how_many_lie_between() -> None:
    table = Table(["slot", "what"], [[n, "made"] for n in range(2001)])
    told, html = repr(table).splitlines(), table._repr_html_()
    assert (told[1], told[30], told[32], told[-1]) == (
        "0     made",
        "29    made",
        "1971  made",
        "2000  made",
    )
    assert told[31] == "… and 1,941 more; .rows has all of them"
    assert html.count("<tr>") == 62
    assert (
        '<td colspan="2" style="text-align:left">… and 1,941 more; .rows has all of them</td>'
        in html
    )
    assert len(html) < 10_000
    assert (len(table), len(list(table)), len(table.column("slot"))) == (2001, 2001, 2001)
    assert "more" not in repr(Table(["slot"], [[n] for n in range(60)]))
