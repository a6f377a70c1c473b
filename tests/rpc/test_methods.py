"""The table of methods fits the contracts: what the wire carries is what a contract's method takes
and returns.
"""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from msgspec import structs

from ikdemo.rpc.methods import METHODS, Method
from ikdemo.spi import messages as m
from ikdemo.spi.documents import LeaderReport
from ikdemo.spi.plans import Freed, Step

PLAIN = [method for method in METHODS if method.member is not None]


def members(kind: type[Any]) -> list[Any]:
    hints = get_type_hints(kind)
    return [hints[field.name] for field in structs.fields(kind)]


@pytest.mark.parametrize("method", PLAIN, ids=lambda method: method.wire)
def test_a_plain_method_is_as_its_contract_has_it(method: Method[Any, Any]) -> None:
    assert method.member is not None
    hints = get_type_hints(method.member)
    returned = hints.pop("return")
    assert list(hints.values()) == members(method.params)
    if method.result is m.Ok:
        assert returned is type(None)
    elif returned in (LeaderReport, Step, Freed):
        assert method.result is returned
    else:
        (member,) = members(method.result)
        assert member in (returned, returned | None)


def test_most_methods_are_plain() -> None:
    assert len(PLAIN) == 19
