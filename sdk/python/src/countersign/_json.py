"""A strict reader of JSON objects, over the scanner of the standard library."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# How deep arrays and objects may be nested. The server's parser has the same bound.
MAX_DEPTH = 127

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[\]{}]")


def parse_object(text: bytes) -> dict[str, Any] | None:
    """Reads one JSON object (RFC 8259) in which no two readers could see different values.

    That is: valid UTF-8, every member name once at every depth, no lone surrogates, no NaN, and nothing around the object but
    white space. Returns None for everything else. The standard library takes the last of two members with one name, reads
    NaN, and hands on half of a surrogate pair; so each of these is caught by a hook, or before or after it.

    The values are str, int, float, bool, None, list and dict. An int has its exact value, whatever its size.
    """
    try:
        decoded = text.decode("utf-8")
        if _is_too_deep(decoded):
            return None
        value = _DECODER.decode(decoded)
        if not isinstance(value, dict):
            return None
        # Half of a surrogate pair can only come from an escape. UTF-8 has no form for it.
        if "\\u" in decoded:
            _refuse_surrogates(value)
    except ValueError:
        return None
    return value


def _is_too_deep(text: str) -> bool:
    # Most texts have fewer brackets than levels are allowed.
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _refuse_surrogates(value: Any) -> None:
    """Raises UnicodeEncodeError, a ValueError. The depth is bounded before."""
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            name.encode("utf-8")
            _refuse_surrogates(item)


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number that no float can hold")
    return number


def _integer(text: str) -> int | float:
    # The server refuses what no float can hold. That also bounds the work that the digits are.
    _finite(text)
    # An int has no negative zero, and what is spelled with a sign must not become a plain 0.
    return -0.0 if text == "-0" else int(text)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_each_name_once, parse_float=_finite, parse_int=_integer, parse_constant=_constant
)
