"""Highlights matches of a search: the title in pieces, and a snippet of the description.

Pieces are slices of the original text. Words are compared after case folding, so `strasse` matches
the slice `Straße`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import NamedTuple, TypedDict

from taskapi.tasks.words import RUN_LETTER, TOKEN, Search, folded, run_letters

MAX_FRAGMENT_LENGTH = 200
"""In characters."""

# A letter of a script without spaces counts as half a word.
_WORD_WEIGHT, _LETTER_WEIGHT = 2, 1
_MAX_WEIGHT = 24 * _WORD_WEIGHT
_WEIGHT_BEFORE_MATCH = 6 * _WORD_WEIGHT
_LENGTH_BEFORE_MATCH = 60

_MAX_TOKENS = 2_000
"""More than are searched."""

_MAX_MATCHES = 250
"""Of words, and of runs, in a text. Each letter of a long description can be a match."""

_SEPARATOR = " \u2026 "
# Punctuation that belongs to the first or last word of a fragment, like quotes.
_OPENING = re.compile(r"(?<!\S)[^\w\s]{1,8}\Z")
_CLOSING = re.compile(r"[^\w\s]{1,8}(?!\S)")


class Piece(TypedDict):
    """A part of a text that matches a search or doesn't."""

    text: str
    is_match: bool


class _Match(NamedTuple):
    start: int
    end: int
    term: str


class _Unit(NamedTuple):
    """A word, or a letter of a run, at which a fragment may begin or end."""

    start: int
    end: int
    weight: int


class _Fragment(NamedTuple):
    start: int
    end: int


_START = attrgetter("start")


def mark(title: str, search: Search) -> list[Piece]:
    """The title in pieces, whose concatenation is the title."""
    return _pieces(title, _Fragment(0, len(title)), _matches(_tokens(title), search))


def snippet(description: str | None, search: Search) -> list[Piece] | None:
    """At most two fragments around the matches, joined by a piece ` … `.

    A fragment is a slice of the text, of about 24 words and at most `MAX_FRAGMENT_LENGTH`
    characters. The second contains a word of the search that the first does not, if there is one.
    Adjacent fragments become one. A description that fits into a fragment is returned whole.
    Returns the beginning if nothing matches, and None without a description.
    """
    if description is None:
        return None
    tokens = _tokens(description)
    matches = _matches(tokens, search)
    pieces: list[Piece] = []
    for fragment in _fragments(description, tokens, matches):
        if pieces:
            pieces.append(Piece(text=_SEPARATOR, is_match=False))
        pieces += _pieces(description, fragment, matches)
    return pieces


def _tokens(text: str) -> list[re.Match[str]]:
    return list(islice(TOKEN.finditer(text), _MAX_TOKENS))


def _matches(tokens: Sequence[re.Match[str]], search: Search) -> list[_Match]:
    """The first matches in a text, in order. Matches in a run may overlap."""
    found = (_word_matches(tokens, search), _run_matches(tokens, search))
    return sorted(match for matches in found for match in islice(matches, _MAX_MATCHES))


def _word_matches(tokens: Sequence[re.Match[str]], search: Search) -> Iterator[_Match]:
    prefixes: list[str] = []
    for word in sorted(word.text for word in search.words if not RUN_LETTER.match(word.text)):
        # A longer prefix matches nothing that the shorter one does not.
        if not prefixes or not word.startswith(prefixes[-1]):
            prefixes.append(word)
    if not prefixes:
        return
    terms: dict[str, str | None] = {}
    for token in tokens:
        if token.lastgroup == "run":
            continue
        text = token[0]
        if text not in terms:
            word = folded(token)
            # No prefix begins with another one, so only the greatest one up to the word can match.
            prefix = prefixes[bisect_right(prefixes, word) - 1]
            terms[text] = prefix if word.startswith(prefix) else None
        if term := terms[text]:
            yield _Match(token.start(), token.end(), term)


def _run_matches(tokens: Sequence[re.Match[str]], search: Search) -> Iterator[_Match]:
    """The slices of runs that equal a run of the search after folding, in whole letters."""
    if not search.runs:
        return
    parts: list[str] = []
    # The start and end of each folded character's letter in the original text.
    starts: list[int] = []
    ends: list[int] = []
    for token in tokens:
        if token.lastgroup != "run":
            continue
        letters = run_letters(token[0])
        parts += [*letters, " "]
        if len(letters) == len(token[0]):
            starts += range(token.start(), token.end())
            ends += range(token.start() + 1, token.end() + 1)
        else:
            originals = RUN_LETTER.finditer(token.string, token.start(), token.end())
            for letter, original in zip(letters, originals, strict=True):
                starts += [original.start()] * len(letter)
                ends += [original.end()] * len(letter)
        starts.append(token.end())
        ends.append(token.end())
    longest_first = sorted(search.runs, key=len, reverse=True)
    # The lookahead finds overlapping matches too.
    wanted = re.compile("(?=(" + "|".join(map(re.escape, longest_first)) + "))")
    for found in wanted.finditer("".join(parts)):
        yield _Match(starts[found.start()], ends[found.end(1) - 1], found[1])


def _fragments(
    text: str, tokens: Sequence[re.Match[str]], matches: Sequence[_Match]
) -> list[_Fragment]:
    if len(text) <= MAX_FRAGMENT_LENGTH:
        return [_Fragment(0, len(text))]
    first = _fragment(text, tokens, matches[0] if matches else _Match(0, 0, ""), least=0)
    later = matches[bisect_left(matches, first.end, key=_START) :]
    if not later:
        return [first]
    covered = {match.term for match in matches[: -len(later)]}
    match = next((match for match in later if match.term not in covered), later[0])
    second = _fragment(text, tokens, match, least=first.end)
    if not text[first.end : second.start].strip():
        return [_Fragment(first.start, second.end)]
    return [first, second]


def _fragment(
    text: str, tokens: Sequence[re.Match[str]], match: _Match, *, least: int
) -> _Fragment:
    """The fragment of a long text around a match, beginning at `least` or later."""
    low = max(least, match.start - MAX_FRAGMENT_LENGTH)
    units = list(_units(tokens, low, match.start + MAX_FRAGMENT_LENGTH))
    at = sum(unit.start < match.start for unit in units)
    before, after = units[:at], units[at:]
    start = _with_opening(text, match.start, low)
    end = min(match.end, start + MAX_FRAGMENT_LENGTH)
    weight = 0

    def extend_back(max_length: int, max_weight: int) -> None:
        nonlocal start, weight
        while before and weight + before[-1].weight <= max_weight:
            begin = _with_opening(text, before[-1].start, low)
            if end - begin > max_length:
                return
            start = begin
            weight += before.pop().weight

    context = min(match.end - match.start + _LENGTH_BEFORE_MATCH, MAX_FRAGMENT_LENGTH)
    extend_back(context, _WEIGHT_BEFORE_MATCH)
    for unit in after:
        is_full = weight + unit.weight > _MAX_WEIGHT and unit.start >= match.end
        if is_full or unit.end > start + MAX_FRAGMENT_LENGTH:
            break
        weight += unit.weight
        end = unit.end
    else:
        if len(text) <= start + MAX_FRAGMENT_LENGTH:
            end = len(text)
            extend_back(MAX_FRAGMENT_LENGTH, _MAX_WEIGHT)
            return _Fragment(start, end)
    if end == start:
        return _Fragment(start, start + MAX_FRAGMENT_LENGTH)
    closing = _CLOSING.match(text, end, start + MAX_FRAGMENT_LENGTH)
    return _Fragment(start, closing.end() if closing else end)


def _with_opening(text: str, start: int, low: int) -> int:
    opening = _OPENING.search(text, max(low, start - 8), start)
    return opening.start() if opening else start


def _units(tokens: Sequence[re.Match[str]], low: int, high: int) -> Iterator[_Unit]:
    """The units that begin between two positions."""
    at = max(0, bisect_right(tokens, low, key=lambda token: token.start()) - 1)
    for token in islice(tokens, at, None):
        if token.start() >= high:
            return
        if token.lastgroup == "run":
            first = max(low, token.start())
            for letter in RUN_LETTER.finditer(token.string, first, token.end()):
                if letter.start() >= high:
                    return
                yield _Unit(letter.start(), letter.end(), _LETTER_WEIGHT)
        elif token.start() >= low:
            yield _Unit(token.start(), token.end(), _WORD_WEIGHT)


def _pieces(text: str, fragment: _Fragment, matches: Sequence[_Match]) -> list[Piece]:
    """A fragment in pieces. Matches that overlap or touch are one piece."""
    spans: list[_Fragment] = []
    for match in matches:
        if match.start >= fragment.end:
            break
        start, end = max(match.start, fragment.start), min(match.end, fragment.end)
        if start >= end:
            continue
        if spans and start <= spans[-1].end:
            end = max(end, spans[-1].end)
            start = spans.pop().start
        spans.append(_Fragment(start, end))
    pieces: list[Piece] = []
    position = fragment.start
    for start, end in spans:
        pieces.append(Piece(text=text[position:start], is_match=False))
        pieces.append(Piece(text=text[start:end], is_match=True))
        position = end
    pieces.append(Piece(text=text[position : fragment.end], is_match=False))
    return [piece for piece in pieces if piece["text"]]
