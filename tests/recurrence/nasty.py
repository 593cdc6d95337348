"""Rules that take other implementations very long, or forever."""

from __future__ import annotations

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def _listed(start: str, values: list[str]) -> str:
    """As many of these values as fit into a rule."""
    text = start
    for value in values:
        if len(text) + len(value) < 500:
            text += f"{',' if text[-1] != '=' else ''}{value}"
    return text


_UP = [str(n) for n in range(1, 367)]
_DOWN = [f"-{n}" for n in range(1, 367)]
_EVERY = ";BYDAY=" + ",".join(_WEEKDAYS)
_ORDINALS = [f"{n}{day}" for n in (*range(1, 54), *range(-53, 0)) for day in _WEEKDAYS]

NASTY = {
    "never, yearly": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "never, monthly": "FREQ=MONTHLY;BYMONTH=4,6,9,11;BYMONTHDAY=31",
    "never, daily": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "never, weekly": "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=3",
    "never, of a set": "FREQ=DAILY;BYMONTH=1;BYSETPOS=2",
    "never, in any week": "FREQ=YEARLY;BYWEEKNO=1;BYMONTH=6",
    "never, by the interval": "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2;BYMONTHDAY=30",
    "hardly ever": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;INTERVAL=7",
    "hardly ever, in weeks": "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=1;BYMONTHDAY=3;BYDAY=SU",
    "every day": "FREQ=DAILY",
    "every day, long": "FREQ=DAILY;COUNT=" + "9" * 400,
    "every day of each week": f"FREQ=WEEKLY{_EVERY}",
    "every other day": "FREQ=DAILY;INTERVAL=2",
    "every other week": f"FREQ=WEEKLY;INTERVAL=2{_EVERY};BYSETPOS=1,3,5,-1",
    "a huge interval of days": "FREQ=DAILY;INTERVAL=" + "9" * 400,
    "a huge interval of weeks": "FREQ=WEEKLY;INTERVAL=" + "9" * 400,
    "a huge interval of months": "FREQ=MONTHLY;INTERVAL=" + "9" * 400,
    "a huge interval of years": "FREQ=YEARLY;INTERVAL=" + "9" * 400,
    "sets of weeks": f"FREQ=WEEKLY{_EVERY};BYSETPOS=1,-1",
    "sets of weeks in some months": f"FREQ=WEEKLY{_EVERY};BYMONTH=1,3,5,7;BYSETPOS=1,2,-1,-2",
    "sets of months": _listed(f"FREQ=MONTHLY{_EVERY};BYSETPOS=", _UP),
    "sets of years": _listed(f"FREQ=YEARLY{_EVERY};BYSETPOS=", _UP),
    "sets of years, backwards": _listed(f"FREQ=YEARLY{_EVERY};BYSETPOS=", _DOWN),
    "sets of years of weeks": _listed(
        "FREQ=YEARLY;BYWEEKNO=" + ",".join(_UP[:53]) + f"{_EVERY};BYSETPOS=", _UP[99:]
    ),
    "days of years": _listed("FREQ=YEARLY;BYYEARDAY=", _UP),
    "days of years, backwards": _listed("FREQ=YEARLY;BYYEARDAY=", _DOWN),
    "days of months": _listed("FREQ=DAILY;BYMONTHDAY=", _UP[:31] + _DOWN[:31]),
    "weekdays of months": _listed("FREQ=MONTHLY;BYDAY=", _ORDINALS),
    "weekdays of years": _listed("FREQ=YEARLY;BYDAY=", _ORDINALS),
    "weeks of years": _listed("FREQ=YEARLY;WKST=SU;BYWEEKNO=", _UP[:53] + _DOWN[:53]),
    "everything": _listed(
        "FREQ=YEARLY;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12;WKST=SA"
        ";BYMONTHDAY=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28"
        ";BYDAY=MO,TU,WE,TH,FR,SA,SU;INTERVAL=1;BYSETPOS=",
        [*_UP[:60], *_DOWN],
    ),
}
