"""What to write instead of dates and moments that are no part of the filter language."""

from __future__ import annotations

import re
from datetime import date

_UNITS = "m (minutes), h (hours), d (days), w (weeks), mo (months) and y (years)"

_MOMENT = re.compile(
    r"\b(?:today|tomorrow|yesterday|now)(?:\s*[+-]\s*[0-9]{1,9}(?:\s*[^\W\d_]+)?){1,20}",
    re.ASCII | re.IGNORECASE,
)
_COMPACT_MOMENT = re.compile(r"[a-z]+(?:[+-][0-9]{1,4}(?:mo|[mhdwy]))+", re.IGNORECASE)
_SPACE = re.compile(r"\s+")

_YEAR_FIRST = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?![\w/.-])", re.ASCII)
_YEAR_LAST = re.compile(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}(?![\w/.-])", re.ASCII)


def hint(text: str, offset: int) -> str | None:
    """What to write instead, if a date or a moment causes the syntax error at this offset."""
    for moment in _MOMENT.finditer(text):
        if moment.start() <= offset < moment.end():
            return _hint_for_moment(moment[0])
    for form in (_YEAR_FIRST, _YEAR_LAST):
        for day in form.finditer(text):
            if day.start() <= offset < day.end():
                return _hint_for_date(day)
    return None


def _hint_for_moment(moment: str) -> str:
    compact = _SPACE.sub("", moment)
    if not _COMPACT_MOMENT.fullmatch(compact):
        return f"A number has up to four digits and one of the units {_UNITS}: now+30d."
    return f"Write {compact}, without spaces."


def _hint_for_date(day: re.Match[str]) -> str:
    example = "2026-01-05"
    if day.re is _YEAR_FIRST:
        try:
            example = date(*map(int, day.groups())).isoformat()
        except ValueError:
            return f"There is no such day. Write dates like {example}."
    return f"Write dates with four, two and two digits: {example}."
