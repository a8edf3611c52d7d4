"""What the values of a card are: a card may come from anywhere, and all that is shown or counted of it must be what it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from crnnocr.metrics.scores import METRICS

Kind: TypeAlias = Callable[[Any], bool] | dict[str, Any] | list[Any]
"""What says whether a value is of the kind; a dict of the kinds by key, any of which may lack, or by `EACH` of all its values;
a list of the kind of all items. Where things are alike, none lacks anything."""

EACH = "…"


def text(value: Any) -> bool:
    """Whether it can be written down as text."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def number(value: Any) -> bool:
    """Whether it is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def _text_or_none(value: Any) -> bool:
    return value is None or text(value)


CARD: Kind = {
    "name": text,
    "charset": text,
    "model": {"preset": text},
    "training": {
        "date": text,
        "data": {
            "sources": [{"name": text, "format": text, "samples": number}],
            "learned": number,
            "held_out": number,
        },
        "start": _text_or_none,
        "config": {"synth": _text_or_none},
        "steps": number,
        "pictures_shown": number,
        "seconds": number,
        "device": text,
        "versions": {"crnnocr": text},
        "about": {
            "real_crops": {EACH: {"value": number, "low": number, "high": number, "pictures": number}},
            **dict.fromkeys(("pictures", "before", "limits", "licence", "reproduce"), text),
        },
    },
    "scores": dict.fromkeys(("n", *METRICS), number),
}
"""Of what the commands show."""


def check(value: Any, kind: Kind, place: str = "", is_whole: bool = False) -> None:
    """Raise `ValueError`, naming the place, where a value is not of a kind; nothing of it lacks where it `is_whole`."""
    if isinstance(kind, dict) and isinstance(value, dict):
        is_whole = is_whole or EACH in kind
        inside: dict[str, Any] = dict.fromkeys(value, kind[EACH]) if EACH in kind else kind
        for key, inner in inside.items():
            if is_whole or key in value:
                check(value.get(key), inner, f"{place}.{key}".lstrip("."), is_whole)
    elif isinstance(kind, list) and isinstance(value, list):
        for item in value:
            check(item, kind[0], place, is_whole=True)
    elif isinstance(kind, dict | list) or not kind(value):
        raise ValueError(f"{place} cannot be {value!r:.40}")
