"""InfraKit's hash of a group's configuration: what makes an instance current or outdated.

SHA-1 over the Instance and Flavor sections, each parsed and printed in one fixed way
(docs/protocol.md, "config_sha"); the allocation takes no part.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any, NoReturn

from .decode import decode
from .documents import GroupProperties, PluginSpec
from .errors import SpecError
from .text import quote


def config_sha(properties_text: str) -> str:
    """Return the ``infrakit.config_sha`` of a group's Properties, given as JSON text.

    28 characters of URL-safe base64. Raises SpecError when the text is not JSON, a section is not
    an object with a string ``Plugin``, or a number does not fit a float64.

    >>> config_sha('{"Instance": {"Plugin": "p"}, "Flavor": {"Plugin": "f"}}')
    'tYSrsyCNKfkRHZAVVs8WJZKtsW0='
    """
    properties = decode(properties_text.encode("utf-8", "surrogatepass"), GroupProperties)
    return sha_of(properties)


def sha_of(properties: GroupProperties) -> str:
    """Return the hash of decoded properties; see ``config_sha``."""
    try:
        text = _section(properties.instance) + _section(properties.flavor)
    except RecursionError:
        raise SpecError("nested too deeply") from None
    return base64.urlsafe_b64encode(
        hashlib.sha1(text.encode(), usedforsecurity=False).digest()
    ).decode()


def parse_json(text: str) -> Any:
    """Parse JSON with every number a float64, as Go does; raises SpecError."""
    try:
        return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_no_constant)
    except RecursionError:
        raise SpecError("nested too deeply") from None
    except ValueError as error:
        raise SpecError(f"not JSON: {error}") from None


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise SpecError(
            f"the number {text[:40]} does not fit a 64-bit float", expected="a number below 1.8e308"
        )
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON value")


def _section(section: PluginSpec) -> str:
    """Print one section as the object that is hashed."""
    return _print(
        {"Plugin": section.plugin, "Properties": parse_json(bytes(section.properties).decode())}, 0
    )


def _print(value: Any, depth: int) -> str:
    """Print a parsed value: keys sorted, two blanks a level and two more before every line but the
    first.
    """
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float):
        return _print_number(value)
    if not isinstance(value, (dict, list)):
        return json.dumps(value)
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    inner = "\n" + "  " * (depth + 2)
    outer = "\n" + "  " * (depth + 1)
    if isinstance(value, list):
        return "[" + inner + ("," + inner).join(_print(v, depth + 1) for v in value) + outer + "]"
    clean = {
        k.encode("utf-16", "surrogatepass").decode("utf-16", "replace"): v for k, v in value.items()
    }
    rows = (f"{quote(key)}: {_print(clean[key], depth + 1)}" for key in sorted(clean))
    return "{" + inner + ("," + inner).join(rows) + outer + "}"


def _print_number(value: float) -> str:
    """Print a float64 as Go's encoding/json does: shortest, exponent form below 1e-6 and from 1e21.

    >>> [_print_number(x) for x in (1.0, -0.0, 1e20, 1e21, 1.5e-7)]
    ['1', '-0', '100000000000000000000', '1e+21', '1.5e-7']
    """
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    digits, _, exponent = repr(value).partition("e")
    if 1e-6 <= abs(value) < 1e21:
        return (
            f"{value:.0f}"
            if value.is_integer() and abs(value) < 1e16
            else _plain(digits, int(exponent or 0))
        )
    return f"{digits.removesuffix('.0')}e{int(exponent):+d}"


def _plain(digits: str, exponent: int) -> str:
    """Write shortest digits and a decimal exponent without the exponent."""
    sign = "-" if digits.startswith("-") else ""
    whole, _, fraction = digits.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{whole}{fraction}"
    if exponent:
        return sign + whole + fraction.ljust(exponent, "0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole
