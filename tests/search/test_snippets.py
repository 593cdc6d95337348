"""Titles in pieces and snippets: slices of the text as it is, and which of them match."""

# ruff: noqa: RUF001 - letters of many scripts look alike

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskapi.tasks.snippets import MAX_FRAGMENT_LENGTH, Piece, mark, snippet
from taskapi.tasks.words import parse_search

SEPARATOR = " … "
TRICKY = "aZéßİıﬁΐᾳς5 \n_'.日語がไทยที่하한\u0301\u0323\u0345\u3099\u200d\ufe0f\u20e3❤👍🏽👩🇩🇪™#<b>“"
texts = st.text() | st.text(st.sampled_from(TRICKY), max_size=60)
# Long enough for two fragments.
long_texts = st.lists(texts, max_size=30).map(" ".join)


def _bracketed(pieces: Sequence[Piece] | None) -> str:
    """Pieces as one text, with brackets around matches."""
    assert pieces is not None
    return "".join(f"[{piece['text']}]" if piece["is_match"] else piece["text"] for piece in pieces)


def _joined(pieces: Sequence[Piece]) -> str:
    return "".join(piece["text"] for piece in pieces)


@pytest.mark.parametrize(
    ("text", "title", "bracketed"),
    [
        ("bank", "Call the bank", "Call the [bank]"),
        ("ban call", "Call: Banking", "[Call]: [Banking]"),
        ("nothing", "<b>Is</b> it a?", "<b>Is</b> it a?"),
        ("strasse", "Die Straße.", "Die [Straße]."),
        ("istanbul", "in İstanbul’da", "in [İstanbul]’da"),
        ("cafe", f"{normalize('NFD', 'Café')}s!", f"[{normalize('NFD', 'Cafés')}]!"),
        ("find", "ﬁnding", "[ﬁnding]"),
        ("❤", "a ❤️ b", "a [❤️] b"),
        ("done ✅", "✅done", "[✅done]"),
        ("日本語", "日本の日本語と本語", "日本の[日本語]と本語"),
        ("日本", "日本日本人", "[日本日本]人"),
        ("語", "日本語", "日本[語]"),
        ("がく", normalize("NFD", "まがくい"), normalize("NFD", "ま[がく]い")),
        ("มาที", "ฉันมาที่บ้าน", "ฉัน[มาที่]บ้าน"),
        ("ああ", "あああ い", "[あああ] い"),
        ("", "nothing is searched", "nothing is searched"),
    ],
)
def test_a_title_is_shown_whole_with_its_matches(text: str, title: str, bracketed: str) -> None:
    assert _bracketed(mark(title, parse_search(text))) == bracketed


def test_a_short_description_is_shown_whole() -> None:
    text = "  Ask at <b>the bank</b>\n about it!  "
    assert _bracketed(snippet(text, parse_search("bank"))) == text.replace("bank", "[bank]")
    assert _bracketed(snippet(text, parse_search("other"))) == text
    assert snippet("", parse_search("bank")) == []


def test_no_description_has_no_snippet() -> None:
    assert snippet(None, parse_search("bank")) is None


def _filler(name: str, count: int) -> str:
    return " ".join(f"{name}{number}" for number in range(count))


def test_a_snippet_is_the_words_around_the_match() -> None:
    text = f"{_filler('a', 100)} the “bank”, {_filler('b', 100)}"
    bracketed = _bracketed(snippet(text, parse_search("bank")))
    assert bracketed == f"a95 a96 a97 a98 a99 the “[bank]”, {_filler('b', 17)}"
    assert len(bracketed.split()) == 24


def test_a_snippet_begins_with_the_punctuation_of_its_first_word() -> None:
    words = [f"a{number}" for number in range(100)]
    text = " ".join([*words[:94], "(a94", *words[95:], "bank", _filler("b", 100)])
    assert _bracketed(snippet(text, parse_search("bank"))).startswith("(a94 a95")


def test_a_second_fragment_shows_a_word_that_the_first_does_not() -> None:
    text = f"bank {_filler('a', 50)} bank {_filler('b', 50)} form, {_filler('c', 50)}"
    first, second = _bracketed(snippet(text, parse_search("bank form"))).split(SEPARATOR)
    assert first == f"[bank] {_filler('a', 23)}"
    assert second == f"b44 b45 b46 b47 b48 b49 [form], {_filler('c', 17)}"
    first, second = _bracketed(snippet(text, parse_search("bank"))).split(SEPARATOR)
    assert "[bank] b0" in second


def test_fragments_that_touch_are_one() -> None:
    text = f"bank {_filler('a', 25)} bank {_filler('b', 100)}"
    bracketed = _bracketed(snippet(text, parse_search("bank")))
    assert SEPARATOR not in bracketed
    assert bracketed.startswith(f"[bank] {_filler('a', 25)} [bank] b0 ")


def test_a_snippet_at_the_end_shows_what_is_before() -> None:
    text = f"{_filler('a', 100)} bank."
    bracketed = _bracketed(snippet(text, parse_search("bank")))
    assert bracketed == " ".join([*(f"a{number}" for number in range(77, 100)), "[bank]."])


def test_a_snippet_without_a_match_is_the_beginning() -> None:
    assert _bracketed(snippet(_filler("a", 100), parse_search("bank"))) == _filler("a", 24)
    assert _bracketed(snippet(" " * 900, parse_search("bank"))) == " " * MAX_FRAGMENT_LENGTH


def test_a_snippet_of_a_script_without_spaces_is_cut_between_letters() -> None:
    ga = normalize("NFD", "が")
    text = ga * 300 + "日本語" + ga * 300
    bracketed = _bracketed(snippet(text, parse_search("日本語")))
    assert bracketed == ga * 12 + "[日本語]" + ga * 33


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "bank" * 2_500, "日" * 10_000, "é" * 10_000, "😀\u200d" * 5_000]
)
def test_a_match_longer_than_a_fragment_is_cut(text: str) -> None:
    pieces = snippet(text, parse_search(text[:100]))
    assert pieces is not None
    assert pieces[0]["is_match"]
    assert text.startswith(pieces[0]["text"])
    assert len(_joined(pieces)) <= 2 * MAX_FRAGMENT_LENGTH + len(SEPARATOR)


@settings(max_examples=200)
@given(texts, texts)
def test_the_pieces_of_a_title_are_the_title(title: str, query: str) -> None:
    for text in (query, title, title[1:3]):
        pieces = mark(title, parse_search(text))
        assert _joined(pieces) == title
        assert all(piece["text"] for piece in pieces)
        matches = [piece["is_match"] for piece in pieces]
        assert all(one != other for one, other in pairwise(matches))


@settings(max_examples=200)
@given(texts)
def test_a_title_that_is_found_by_its_words_is_marked_wherever_it_has_one(title: str) -> None:
    for piece in mark(title, parse_search(title)):
        assert piece["is_match"] or not parse_search(piece["text"]) or len(title) > 40


@settings(max_examples=200)
@given(long_texts, texts)
def test_the_fragments_of_a_snippet_are_slices_in_order(text: str, query: str) -> None:
    pieces = snippet(text, parse_search(query))
    assert pieces is not None
    at = [n for n, p in enumerate(pieces) if p == Piece(text=SEPARATOR, is_match=False)]
    assert len(at) <= 1
    fragments = [pieces[: at[0]], pieces[at[0] + 1 :]] if at else [pieces]
    rest = text
    for fragment in fragments:
        slice_ = _joined(fragment)
        assert slice_ or not text
        assert len(slice_) <= MAX_FRAGMENT_LENGTH * (1 if at else 2)
        rest = rest[rest.index(slice_) + len(slice_) :]


@settings(max_examples=200)
@given(long_texts, st.integers(0, 1_000))
def test_a_snippet_shows_a_word_of_the_description(text: str, start: int) -> None:
    search = parse_search(text[start : start + 5])
    pieces = snippet(text, search)
    assert pieces is not None
    is_marked = any(piece["is_match"] for piece in mark(text, search))
    assert any(piece["is_match"] for piece in pieces) == is_marked


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("word " * 2_000, "wo"),
        (_filler("a", 2_000), _filler("a", 50)),
        ("日" * 10_000, " ".join("日" * count for count in range(1, 17))),
        ("a日" * 5_000, "a 日"),
        ("か" + "\u0301\u0323" * 5_000, "か"),
        ("😀" * 10_000, "😀"),
        ("\u0301" * 10_000, "a"),
        ("ﬁ ß " * 2_500, "fi"),
        (" " * 10_000 + "!" * 10_000, "a"),
    ],
)
def test_a_snippet_takes_linear_time(text: str, query: str) -> None:
    # Linear time takes at most a tenth of a second, quadratic time minutes.
    start = time.process_time()
    snippet(text * 10, parse_search(query))
    assert time.process_time() - start < 10
