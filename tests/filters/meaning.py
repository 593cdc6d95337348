"""Random filters, each with a second implementation that evaluates it on the JSON of a task."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from support.numbers import FILTER_NAMES, NUMBERS, Number

Task = dict[str, Any]

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
DATES = [date(2026, 10, 24), date(2026, 10, 25), date(2026, 10, 26), date(2026, 11, 30)]
INSTANTS = [
    datetime(2026, 10, 24, 22, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2026, 10, 26, 12, tzinfo=UTC),
    datetime(2026, 11, 30, 23, 0, 0, 500_000, tzinfo=UTC),
]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu"]
TITLES = ["Call the bank", "call ÄRZTE", "50% \\ 'quoted' \"twice\"", "a_b", "Weed"]
LISTS = ["Inbox", "Work", "Zu Hause"]
LABELS = ["urgent", "Later", "waiting for"]
COMPARED = [number for number in NUMBERS if number.name in FILTER_NAMES]
"""The whole numbers that filters compare."""


class Seen(NamedTuple):
    """The context of a filter's evaluation."""

    now: datetime
    zone: ZoneInfo
    list_ids: dict[str, int]
    label_ids: dict[str, int]
    parents: list[int]
    user_ids: list[int]
    """The caller, another user, and a user who does not exist."""

    def start_of(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


Meaning = Callable[[Task, Seen], bool]


class FilterCase(NamedTuple):
    """A filter and its predicate. `{}` in the text are placeholders for IDs."""

    text: Callable[[Seen], str]
    means: Meaning

    def __repr__(self) -> str:
        return "<a filter, whose text is noted>"


def of(text: str, means: Meaning) -> FilterCase:
    return FilterCase(lambda seen: text, means)


def quoted(text: str) -> st.SearchStrategy[str]:
    escaped = text.replace("\\", "\\\\")
    return st.sampled_from(("'", '"')).map(
        lambda quote: quote + escaped.replace(quote, f"\\{quote}") + quote
    )


def ascii_lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


# Times

Bound = Callable[[Seen], date | datetime]


def _moved(wall: Any, months: int) -> Any:
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    for day in range(wall.day, 0, -1):
        try:
            return wall.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise AssertionError


def _local(seen: Seen, wall: datetime) -> datetime:
    return wall.replace(tzinfo=seen.zone).astimezone(UTC)


def _today(seen: Seen) -> date:
    return seen.now.astimezone(seen.zone).date()


def _wall(seen: Seen) -> datetime:
    return seen.now.astimezone(seen.zone).replace(tzinfo=None, fold=0)


def bounds() -> st.SearchStrategy[tuple[str, Bound]]:
    day, instant = st.sampled_from(DATES), st.sampled_from(INSTANTS)
    count = st.integers(-3, 40)

    def signed(number: int, unit: str) -> str:
        return f"{number:+d}{unit}"

    return st.one_of(
        day.map(lambda d: (d.isoformat(), lambda seen: d)),
        instant.map(lambda i: (i.isoformat().replace("+00:00", "Z"), lambda seen: i)),
        instant.map(lambda i: (i.astimezone(ZoneInfo("Asia/Tokyo")).isoformat(), lambda seen: i)),
        st.just(("today", _today)),
        st.just(("tomorrow", lambda s: _today(s) + timedelta(days=1))),
        count.map(
            lambda n: (f"yesterday{signed(n, 'd')}", lambda s: _today(s) + timedelta(days=n - 1))
        ),
        st.just(("NOW", lambda seen: seen.now)),
        count.map(lambda n: (f"today{signed(n, 'd')}", lambda s: _today(s) + timedelta(days=n))),
        count.map(
            lambda n: (f"today{signed(n, 'mo')}-1w", lambda s: _moved(_today(s), n) - timedelta(7))
        ),
        count.map(lambda n: (f"now{signed(n, 'h')}", lambda s: s.now + timedelta(hours=n))),
        count.map(lambda n: (f"now{signed(n, 'd')}", lambda s: _local(s, _wall(s) + timedelta(n)))),
        st.integers(-2, 2).map(
            lambda n: (f"now{signed(n, 'y')}", lambda s: _local(s, _moved(_wall(s), 12 * n)))
        ),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _holds(symbol: str, found: Any, bound: date | datetime, seen: Seen) -> bool:
    """Whether a due or an instant compares so with a bound. `!=` is the negation of `=`."""
    if symbol == "!=":
        return not _holds("=", found, bound, seen)
    if found is None:
        return False
    compare = OPERATORS[symbol]
    is_timed = not isinstance(found, dict) or "at" in found
    at = _instant(found["at"] if isinstance(found, dict) else found) if is_timed else None
    if not isinstance(bound, datetime):
        day = at.astimezone(seen.zone).date() if at else date.fromisoformat(found["date"])
        return compare(day, bound)
    if at:
        return compare(at, bound)
    end = seen.start_of(date.fromisoformat(found["date"]) + timedelta(days=1))
    return {"=": False, "<": end <= bound, "<=": end <= bound}.get(symbol, end > bound)


def times() -> st.SearchStrategy[FilterCase]:
    fields = {
        "due": lambda task: task["due"],
        "start": lambda task: task["start"],
        "created": lambda task: task["created_at"],
        "updated_at": lambda task: task["updated_at"],
        "completed_at": lambda task: task["completed_at"],
    }

    def build(name: str, symbol: str, bound: tuple[str, Bound]) -> FilterCase:
        text, value = bound
        return of(
            f"{name} {symbol} {text}",
            lambda task, seen: _holds(symbol, fields[name](task), value(seen), seen),
        )

    return st.builds(
        build, st.sampled_from(sorted(fields)), st.sampled_from(list(OPERATORS)), bounds()
    )


def nulls() -> st.SearchStrategy[FilterCase]:
    fields = ["description", "due", "start", "completed_at", "parent_id", "assignee_id"]
    fields += [number.name for number in COMPARED if number.is_nullable]

    def build(name: str, is_null: bool) -> FilterCase:
        word = "is null" if is_null else "IS NOT NULL"
        return of(f"{name} {word}", lambda task, seen: (task[name] is None) == is_null)

    return st.builds(build, st.sampled_from(fields), st.booleans())


def numbers() -> st.SearchStrategy[FilterCase]:
    def build(field: Number, is_short: bool, symbol: str, value: int) -> FilterCase:
        name = FILTER_NAMES[field.name] if is_short else field.name
        number = min(value, field.most)

        def means(task: Task, seen: Seen) -> bool:
            found = task[field.name]
            if found is None:
                return symbol == "!="
            return OPERATORS[symbol](found, number)

        return of(f"{name}{symbol}{number}", means)

    symbols = st.sampled_from(list(OPERATORS))
    return st.builds(build, st.sampled_from(COMPARED), st.booleans(), symbols, st.integers(0, 4))


def many_numbers() -> st.SearchStrategy[FilterCase]:
    def build(numbers: list[int], is_in: bool) -> FilterCase:
        listed = ", ".join(map(str, numbers))
        return of(
            f"priority {'in' if is_in else 'not in'} ({listed})",
            lambda task, seen: (task["priority"] in numbers) == is_in,
        )

    return st.builds(build, st.lists(st.integers(0, 4), min_size=1, max_size=3), st.booleans())


def flags() -> st.SearchStrategy[FilterCase]:
    def overdue(task: Task, seen: Seen) -> bool:
        return not task["is_completed"] and _holds("<", task["due"], seen.now, seen)

    return st.sampled_from(
        (
            of("completed", lambda task, seen: task["is_completed"]),
            of("is_completed = false", lambda task, seen: not task["is_completed"]),
            of("completed != true", lambda task, seen: not task["is_completed"]),
            of("overdue", overdue),
            of("overdue = false", lambda task, seen: not overdue(task, seen)),
        )
    )


def texts() -> st.SearchStrategy[FilterCase]:
    def contains(name: str, part: str, text: str) -> FilterCase:
        return of(
            f"{name} ~ {text}",
            lambda task, seen: (
                ascii_lower(part) in ascii_lower(task[name]) if task[name] is not None else False
            ),
        )

    def equals(symbol: str, title: str, text: str) -> FilterCase:
        return of(
            f"title {symbol} {text}", lambda task, seen: OPERATORS[symbol](task["title"], title)
        )

    part = st.sampled_from(("CALL", "%", "_", "\\", "ärzte", "ÄRZTE", '"', "'", "", "bank"))
    name = st.sampled_from(("title", "description"))
    return st.one_of(
        st.tuples(name, part).flatmap(lambda f: quoted(f[1]).map(lambda text: contains(*f, text))),
        st.tuples(st.sampled_from(("=", "!=")), st.sampled_from(TITLES)).flatmap(
            lambda f: quoted(f[1]).map(lambda text: equals(*f, text))
        ),
    )


def _references(seen_ids: Callable[[Seen], dict[str, int]], name: str, by_id: bool) -> Any:
    if by_id:
        return lambda seen: str(seen_ids(seen)[name])
    return lambda seen: name if " " not in name else f'"{name.upper()}"'


def lists() -> st.SearchStrategy[FilterCase]:
    def build(names: list[str], by_id: bool, is_in: bool) -> FilterCase:
        rendered = [_references(lambda seen: seen.list_ids, name, by_id) for name in names]

        def text(seen: Seen) -> str:
            if len(names) == 1:
                return f"list {'=' if is_in else '!='} {rendered[0](seen)}"
            return (
                f"list {'in' if is_in else 'not in'} ({', '.join(one(seen) for one in rendered)})"
            )

        return FilterCase(
            text,
            lambda task, seen: (task["list_id"] in [seen.list_ids[n] for n in names]) == is_in,
        )

    names = st.lists(st.sampled_from(LISTS), min_size=1, max_size=2)
    return st.builds(build, names, st.booleans(), st.booleans())


def labels() -> st.SearchStrategy[FilterCase]:
    ways: dict[str, Callable[[set[int], set[int]], bool]] = {
        "in": lambda has, wanted: bool(has & wanted),
        "not in": lambda has, wanted: not has & wanted,
        "all": lambda has, wanted: wanted <= has,
        "NONE": lambda has, wanted: not has & wanted,
    }

    def build(names: list[str], by_id: bool, way: str) -> FilterCase:
        rendered = [_references(lambda seen: seen.label_ids, name, by_id) for name in names]

        def means(task: Task, seen: Seen) -> bool:
            return ways[way](set(task["label_ids"]), {seen.label_ids[n] for n in names})

        return FilterCase(
            lambda seen: f"label {way} ({', '.join(one(seen) for one in rendered)})", means
        )

    def one(name: str, is_in: bool) -> FilterCase:
        return FilterCase(
            lambda seen: f"label {'=' if is_in else '!='} {_references(None, name, False)(seen)}",
            lambda task, seen: (seen.label_ids[name] in task["label_ids"]) == is_in,
        )

    names = st.lists(st.sampled_from(LABELS), min_size=1, max_size=3)
    return st.one_of(
        st.builds(build, names, st.booleans(), st.sampled_from(sorted(ways))),
        st.builds(one, st.sampled_from(LABELS), st.booleans()),
        st.just(of("label is null", lambda task, seen: not task["label_ids"])),
    )


def parents() -> st.SearchStrategy[FilterCase]:
    return st.sampled_from((0, 1)).map(
        lambda n: FilterCase(
            lambda seen: f"parent = {seen.parents[n]}",
            lambda task, seen: task["parent_id"] == seen.parents[n],
        )
    )


def assignees() -> st.SearchStrategy[FilterCase]:
    def build(chosen: list[int], says_me: bool, field: str, is_in: bool) -> FilterCase:
        def name(number: int, seen: Seen) -> str:
            return "Me" if number == 0 and says_me else str(seen.user_ids[number])

        def text(seen: Seen) -> str:
            if len(chosen) == 1:
                return f"{field} {'=' if is_in else '!='} {name(chosen[0], seen)}"
            listed = ", ".join(name(number, seen) for number in chosen)
            return f"{field} {'in' if is_in else 'not in'} ({listed})"

        def means(task: Task, seen: Seen) -> bool:
            return (task["assignee_id"] in [seen.user_ids[n] for n in chosen]) == is_in

        return FilterCase(text, means)

    users = st.lists(st.integers(0, 2), min_size=1, max_size=3)
    fields = st.sampled_from(("assignee", "assignee_id"))
    return st.builds(build, users, st.booleans(), fields, st.booleans())


def _joined(word: str, parts: list[FilterCase]) -> FilterCase:
    def means(task: Task, seen: Seen) -> bool:
        found = [part.means(task, seen) for part in parts]
        return all(found) if word.lower() == "and" else any(found)

    return FilterCase(
        lambda seen: f" {word} ".join(f"({part.text(seen)})" for part in parts), means
    )


def negated(part: FilterCase) -> FilterCase:
    return FilterCase(
        lambda seen: f"not ({part.text(seen)})", lambda task, seen: not part.means(task, seen)
    )


def ids() -> st.SearchStrategy[FilterCase]:
    """Some of the tasks that are parents, by their IDs."""

    def build(count: int, is_in: bool) -> FilterCase:
        return FilterCase(
            lambda seen: (
                f"id {'in' if is_in else 'not in'} ({', '.join(map(str, seen.parents[:count]))})"
            ),
            lambda task, seen: (task["id"] in seen.parents[:count]) == is_in,
        )

    return st.builds(build, st.integers(1, 2), st.booleans())


CONDITIONS = st.one_of(
    ids(),
    times(),
    times(),
    nulls(),
    numbers(),
    many_numbers(),
    flags(),
    texts(),
    lists(),
    labels(),
    parents(),
    assignees(),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(_joined, st.sampled_from(("and", "OR")), st.lists(inner, min_size=2, max_size=3)),
        inner.map(negated),
    ),
    max_leaves=6,
)
