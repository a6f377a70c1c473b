"""config_sha and the Details sentences against every recording made with the real programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ikdemo
from ikdemo.reconcile.explain import explain
from ikdemo.spi.config_sha import sha_of
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupProperties
from ikdemo.spi.errors import SpecError


def recorded(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(__file__).parent / name).read_text().splitlines()]


HASHES = recorded("hashes.jsonl")
EXPLAIN = [
    line
    for line in recorded("explain.jsonl")
    if "details" in line and line["case"] != "size-to-quorum-changed"
]


@pytest.mark.parametrize("line", HASHES, ids=lambda line: line["case"])
def test_config_sha(line: dict[str, Any]) -> None:
    if "config_sha" in line:
        assert ikdemo.config_sha(line["properties_text"]) == line["config_sha"]
    else:
        with pytest.raises(SpecError):
            ikdemo.config_sha(line["properties_text"])


def test_the_hash_of_the_collabnix_group() -> None:
    path = Path(__file__).parents[2] / "examples" / "collabnix.json"
    assert (
        ikdemo.config_sha(json.dumps(json.loads(path.read_text())["Properties"]))
        == "0BhimxmJXZBQSm1i-jwNBGX0Px4="
    )


@pytest.mark.parametrize("line", EXPLAIN, ids=lambda line: line["case"])
def test_details(line: dict[str, Any]) -> None:
    """Two bugs of v0.1.0 are not followed: logical IDs for a Size group destroy all, pets announce
    what is not done.
    """
    before, after = (
        decode(json.dumps(spec["Properties"]).encode(), GroupProperties) if spec else None
        for spec in (line["before"], line["after"])
    )
    assert after is not None
    shas: dict[str, str | None] = {"after": sha_of(after), "other": "of another spec", "none": None}
    if before is not None:
        shas["before"] = sha_of(before)
    observed = [
        shas[kind]
        for kind, times in line["instances_hash_mix"].items()
        if kind != "foreign"
        for _ in range(times)
    ]
    assert explain(before, observed, after) == (
        "Noop" if line["case"] == "quorum-noop" else line["details"]
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            {"LogicalIDs": ["a"]},
            {"LogicalIDs": ["b"]},
            "Logical ID changes to a quorum is not currently supported",
        ),
        (
            {"LogicalIDs": ["a", "b"]},
            {"LogicalIDs": ["b", "a"]},
            "Logical ID changes to a quorum is not currently supported",
        ),
        ({"Size": 2}, {"LogicalIDs": ["a"]}, "free or destroy it first"),
        ({"LogicalIDs": ["a"]}, {"Size": 2}, "free or destroy it first"),
    ],
)
def test_changes_that_v010_answers_with_a_crash_are_answered_with_an_error(
    before: Any, after: Any, words: str
) -> None:
    old, new = (
        decode(json.dumps({"Allocation": allocation}).encode(), GroupProperties)
        for allocation in (before, after)
    )
    with pytest.raises(SpecError, match=words):
        explain(old, [], new)
