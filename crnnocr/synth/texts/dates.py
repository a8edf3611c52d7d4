"""Which days there are in a calendar."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping

_DAYS_OF_ALL = 28
"""Days that every month has."""

_COMMON_YEAR = 2001
"""Stands for a year that is not known."""


def exists(fields: Mapping[str, str]) -> bool:
    """Whether there is the day of a date, of the texts of its fields; with a month by name only one that every month has."""
    day = int(fields.get("dayNumber") or fields.get("day") or 1)
    month = fields.get("monthNumber") or fields.get("month") or fields.get("monthName") or ""
    if not month.isdecimal():
        return day <= _DAYS_OF_ALL
    return day <= monthrange(int(fields.get("year", _COMMON_YEAR)), int(month))[1]
