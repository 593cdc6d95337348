"""Hypothesis strategies for rules and starts: all parts in all valid combinations."""

from __future__ import annotations

import re
from datetime import date, timedelta

from hypothesis import strategies as st
from recurrence.brute import WEEKDAYS

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
HORIZON = {"DAILY": 90, "WEEKLY": 180, "MONTHLY": 500, "YEARLY": 1_500}
"""The number of days for which a rule is compared."""

# Few years, so that the second implementation checks few days: the first ones, two
# leap years, those around a century without a leap day, and the last ones. Ends of
# months and years, and weeks of another year, are more likely.
STARTS = st.one_of(
    st.dates(date(1970, 1, 1), date(1971, 12, 31)),
    st.dates(date(2023, 12, 1), date(2028, 3, 31)),
    st.dates(date(2096, 2, 1), date(2100, 3, 31)),
    st.dates(date(2194, 1, 1), date(2195, 12, 31)),
    st.sampled_from(
        [
            *(date(2024, 2, 29), date(2026, 1, 31), date(2025, 12, 29), date(2027, 1, 1)),
            *(date(1970, 1, 1), date(2099, 12, 31), date(2100, 2, 28), date(2096, 2, 29)),
        ]
    ),
)


def _listed(values: st.SearchStrategy[str], most: int = 4) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=most).map(",".join)


def _numbers(most: int) -> st.SearchStrategy[str]:
    numbers = st.integers(1, most) | st.sampled_from([1, 2, most])
    return _listed(
        st.tuples(st.sampled_from(["", "", "-"]), numbers).map(lambda n: f"{n[0]}{n[1]}")
    )


_ORDINALS = st.sampled_from(["", "", "1", "+2", "-1", "-2", "4", "5", "-5", "20", "53", "-53"])
_PARTS = {
    "BYMONTH": _listed(st.integers(1, 12).map(str)),
    "BYWEEKNO": _numbers(53),
    "BYYEARDAY": _numbers(366),
    "BYMONTHDAY": _numbers(31),
    "BYDAY": _listed(st.tuples(_ORDINALS, st.sampled_from(WEEKDAYS)).map("".join)),
    "BYSETPOS": _numbers(366) | _listed(st.sampled_from(["1", "2", "3", "-1", "-2"])),
    "INTERVAL": st.sampled_from(["1", "2", "2", "3", "4", "5", "12", "40", "1" + "0" * 30]),
    "WKST": st.sampled_from(WEEKDAYS),
}
_WITHOUT = {
    "DAILY": ("BYWEEKNO", "BYYEARDAY"),
    "WEEKLY": ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"),
    "MONTHLY": ("BYWEEKNO", "BYYEARDAY"),
    "YEARLY": (),
}


def _rule(freq: str, parts: dict[str, str]) -> str:
    """A rule with these parts, without those that cannot be combined."""
    if "BYDAY" in parts and (freq in ("DAILY", "WEEKLY") or "BYWEEKNO" in parts):
        parts["BYDAY"] = re.sub("[-+0-9]", "", parts["BYDAY"])
    if not any(name.startswith("BY") and name != "BYSETPOS" for name in parts):
        parts.pop("BYSETPOS", None)
    return ";".join(f"{name}={value}" for name, value in {"FREQ": freq, **parts}.items())


def rules(*frequencies: str) -> st.SearchStrategy[str]:
    """Rules without COUNT and UNTIL."""
    return st.one_of(
        st.fixed_dictionaries(
            {}, optional={name: part for name, part in _PARTS.items() if name not in _WITHOUT[freq]}
        ).map(lambda parts, freq=freq: _rule(freq, parts))
        for freq in frequencies
    )


_RULES = {freq: rules(freq) for freq in FREQUENCIES}


@st.composite
def rules_of_dates(draw: st.DrawFn) -> tuple[str, date, date]:
    """A rule, its start, and the date up to which it is compared."""
    freq = draw(st.sampled_from(FREQUENCIES))
    text, start = draw(_RULES[freq]), draw(STARTS)
    limit = draw(st.integers(-3, 2 * HORIZON[freq]))
    if limit in range(1, 12):
        text += f";COUNT={limit}"
    elif limit < HORIZON[freq]:
        text += f";UNTIL={start + timedelta(limit):%Y%m%d}"
    return text, start, min(start + timedelta(HORIZON[freq]), date(2199, 12, 31))
