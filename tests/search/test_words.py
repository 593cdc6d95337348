"""Words of tasks and searches: how they are cut and folded, and which search finds which task."""

# ruff: noqa: RUF001 - letters of many scripts look alike

from __future__ import annotations

import re
import time
from collections.abc import Callable
from unicodedata import decomposition, is_normalized, normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskapi.tasks.words import (
    MAX_DESCRIPTION_WORDS,
    MAX_LEXEME_BYTES,
    MAX_SEARCH_WORDS,
    MAX_TITLE_WORDS,
    MAX_WORD_LENGTH,
    TOKEN,
    Search,
    SearchWord,
    description_words,
    lexemes,
    parse_search,
    title_words,
    tsquery,
)

ACUTE = "\u0301"
TRICKY = (
    "aZéßŉİıﬁΑιΐᾳςς5٣²½ \n_'\\-.日語々ーがカｶﾞไทยที่ພາສາမြန်မာភាសា하국हिन्शבָעֶ"
    "\u0301\u0323\u0334\u0345\u0f73\u3099\u200d\u200c\u00ad\ufe0f\u034f\u20e3\u1100\u1161\u11a8"
    "❤✅😀👍🏽👩🇩🇪🏴™#→\ufb2c\uf900\U0002f800\u212b\u0149\u1e9a"
)
texts = st.text() | st.text(st.sampled_from(TRICKY), max_size=40)


def finds(search: Search, title: str, description: str | None) -> bool:
    """Whether a search matches a task: the reference for the SQL."""
    words = {*title_words(title), *description_words(description)}
    stored = [normalize("NFC", title), normalize("NFC", description or "")]
    return (
        bool(search.words)
        and all(
            any(
                word.startswith(term.text) if term.is_prefix else word == term.text
                for word in words
            )
            for term in search.words
        )
        and all(any(substring in text for text in stored) for substring in search.substrings)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Read “War and Peace”", ["read", "war", "and", "peace"]),
        ("Mo–Fr", ["mo", "fr"]),
        ("€50", ["50"]),
        ("✅done", ["✅", "done"]),
        ("follow-up", ["follow", "up"]),
        ("report.pdf", ["report", "pdf"]),
        ("DS-7604NI-E1", ["ds", "7604ni", "e1"]),
        ("Vec<String>", ["vec", "string"]),
        ("-5", ["5"]),
        (
            "3.14 snake_case O'Reilly l’équipe",
            ["3", "14", "snake", "case", "o", "reilly", "l", "equipe"],
        ),
        ("to be or not to be", ["to", "be", "or", "not"]),
        ("20 °C © 2026 → A™", ["20", "c", "2026", "a"]),
        ("!!! \n\t—", []),
        (f"{ACUTE} {ACUTE}a ({ACUTE}b", ["a", "b"]),
    ],
)
def test_a_text_is_cut_at_everything_but_letters_and_digits(text: str, words: list[str]) -> None:
    assert title_words(text) == words


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Café", "cafe"),
        (f"CAFE{ACUTE}", "cafe"),
        ("Straße STRASSE", "strasse"),
        ("İstanbul istanbul", "istanbul"),
        ("ISPARTA \u0131sparta", "isparta"),
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("Tiếng TIẾNG", "tieng"),
        ("ﬁnd", "find"),
        ("ΟΔΟΣ οδός οδοσ", "οδοσ"),
        ("ᾳ ΑΙ ᾼ α\u0345 ᾴ α\u0345\u0301", "αι"),
        ("\u212bngstr\u00f6m", "angstrom"),
        ("Straße" + "\u00ad" + "nbahn", "strassenbahn"),
        ("می\u200cخواهم", "میخواهم"),
    ],
)
def test_case_and_the_accents_of_latin_and_greek_letters_make_no_difference(
    text: str, word: str
) -> None:
    assert title_words(text) == [word]


@pytest.mark.parametrize(
    ("one", "other"),
    [("が", "か"), ("й", "и"), ("ที่", "ท"), ("हिन्दी", "हन्द"), ("בָּ", "ב"), ("한", "하")],
)
def test_marks_of_other_scripts_are_kept(one: str, other: str) -> None:
    assert title_words(one) == [normalize("NFC", one)]
    assert title_words(one) != title_words(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("日本語", ["日本", "本語", "語"]),
        ("日", ["日"]),
        ("カレーを食べる", ["カレ", "レー", "ーを", "を食", "食べ", "べる", "る"]),
        ("iPhoneを買う 2024年", ["iphone", "を買", "買う", "う", "2024", "年"]),
        ("か\u3099く", ["がく", "く"]),
        ("\uf900\uf901", ["豈更", "更"]),
        ("ที่บ้าน", ["ที่บ้", "บ้า", "าน", "น"]),
        ("ພາສາ", ["ພາ", "າສ", "ສາ", "າ"]),
        ("ភាសា", ["ភាសា", "សា"]),
        ("မြန်မာ", ["မြန်", "န်မာ", "မာ"]),
        ("𠮷野家", ["𠮷野", "野家", "家"]),
        ("葛\U000e0100城", ["葛城", "城"]),
        ("한국어 배우기", ["한국어", "배우기"]),
        ("日本\u200b語", ["日本", "本", "語"]),
    ],
)
def test_scripts_without_spaces_are_indexed_as_pairs(text: str, words: list[str]) -> None:
    assert title_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("❤️ ❤", ["❤"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        ("👨‍👩‍👧😀", ["👨‍👩‍👧", "😀"]),
        ("🏳️‍🌈", ["🏳‍🌈"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿!", ["🏴󠁧󠁢󠁥󠁮󠁧󠁿"]),
        ("5️⃣ 5", ["5"]),
        ("™️ ™ ➡️", ["™", "➡"]),
        ("★ ☐ ✓", ["★", "☐", "✓"]),
    ],
)
def test_an_emoji_is_a_word(text: str, words: list[str]) -> None:
    assert title_words(text) == words


def test_digits_of_every_script_are_digits() -> None:
    assert title_words("٣٤ १२ ½ m² ๑๒") == ["٣٤", "१२", "½", "m²", "๑๒"]


def test_a_long_word_is_indexed_by_its_beginning() -> None:
    assert description_words("ab" * 5_000) == ["ab" * (MAX_WORD_LENGTH // 2)]
    assert description_words("a" + ACUTE * 9_999 + "b") == ["ab"]
    assert finds(parse_search("ababab"), "-", "ab" * 5_000)
    assert finds(parse_search("ab" * 100), "-", "ab" * 5_000)


def test_a_text_has_a_limited_number_of_words() -> None:
    many = [str(number) for number in range(3_000)]
    assert title_words(" ".join(many)) == many[:MAX_TITLE_WORDS]
    assert description_words(" ".join(many)) == many[:MAX_DESCRIPTION_WORDS]
    assert description_words(None) == []
    words = parse_search(" ".join(many)).words
    assert [word.text for word in words] == many[:MAX_SEARCH_WORDS]


def test_a_search_says_which_words_are_prefixes_and_which_substrings_must_occur() -> None:
    search = parse_search("Foo か\u3099くせい 日本 日 foo")
    assert search.words == (
        SearchWord("foo", is_prefix=True),
        SearchWord("がく", is_prefix=False),
        SearchWord("くせ", is_prefix=False),
        SearchWord("せい", is_prefix=True),
        SearchWord("日本", is_prefix=True),
        SearchWord("日", is_prefix=True),
    )
    assert search.substrings == ("がくせい",)
    assert search.runs == ("がくせい", "日本", "日")


@pytest.mark.parametrize("text", ["", "!!!", "' | & :*", "\\", ACUTE, "™"])
def test_a_search_without_a_word_is_false_and_finds_nothing(text: str) -> None:
    assert not parse_search(text)
    assert not finds(parse_search(text), text or "a", None)


@pytest.mark.parametrize(
    ("text", "title", "description"),
    [
        ("war", "Read “War and Peace”", None),
        ("fr", "Mo–Fr", None),
        ("50", "€50", None),
        ("done", "✅done", None),
        ("✅", "✅done", None),
        ("follow up", "follow-up", None),
        ("pdf", "report.pdf", None),
        ("DS-7604", "DS-7604NI-E1", None),
        ("String", "Vec<String>", None),
        ("5", "-5", None),
        ("foo ba", "Bar", "food"),
        ("cafe", "Café", None),
        ("CAFÉ", "cafe", None),
        ("❤", "❤️", None),
        ("❤️", "❤", None),
        ("👍", "👍🏽", None),
        ("👩", "👩‍🚀", None),
        ("語", "日本語", None),
        ("本", "日本語", None),
        ("本語", "日本語", None),
        ("日本語 call", "日本語", "Call"),
        ("มาที", "มาที่บ้าน", None),
        ("ที่บ้าน", "มาที่บ้าน", None),
    ],
)
def test_a_search_finds(text: str, title: str, description: str | None) -> None:
    assert finds(parse_search(text), title, description)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("anking", "banking"),
        ("bank nothing", "bank"),
        ("か", "が"),
        ("かかか", "かかが"),
        ("日本語", "日本と本語"),
        ("本日", "日本"),
        ("ม้า", "มา"),
    ],
)
def test_a_search_does_not_find(text: str, title: str) -> None:
    assert not finds(parse_search(text), title, None)


def test_lexemes_begin_with_the_workspace_and_are_quoted_in_a_tsquery() -> None:
    assert lexemes(42, ["bank", "日本"]) == ["42:bank", "42:日本"]
    assert tsquery(42, SearchWord("ban", is_prefix=True)) == "'42:ban':*"
    assert tsquery(42, SearchWord("日本", is_prefix=False)) == "'42:日本'"
    assert tsquery(1, SearchWord("a'b\\c", is_prefix=True)) == r"'1:a''b\\c':*"


@pytest.mark.parametrize("word", ["a" * 5_000, "é" * 2_000, "😀" * 1_000])
def test_no_lexeme_is_longer_than_postgresql_allows(word: str) -> None:
    (lexeme,) = lexemes(2**53, [word])
    assert MAX_LEXEME_BYTES - 4 < len(lexeme.encode()) <= MAX_LEXEME_BYTES
    assert f"{2**53}:{word}".startswith(lexeme)


@settings(max_examples=200)
@given(texts)
def test_composed_and_decomposed_texts_have_the_same_words(text: str) -> None:
    for form in ("NFC", "NFD"):
        assert title_words(normalize(form, text)) == title_words(text)
        assert parse_search(normalize(form, text)) == parse_search(text)


def test_every_character_that_folds_or_decomposes_has_one_word_in_every_normal_form() -> None:
    # Korean syllables decompose alike.
    codes = [*range(0xAC00), *range(0xAC00, 0xD800, 99), *range(0xE000, 0x30000)]
    for character in map(chr, codes):
        if not decomposition(character) and character.casefold() == character:
            continue
        text = f"a{character}b {character}"
        words = title_words(text)
        assert words == title_words(normalize("NFD", text)) == title_words(normalize("NFC", text))
        assert [title_words(word)[0] for word in words] == words, hex(ord(character))
        # They are sent with spaces between them.
        assert " ".join(words).split(" ") == words, hex(ord(character))


@settings(max_examples=200)
@given(texts)
def test_words_have_their_bounds(text: str) -> None:
    words = description_words(text)
    assert title_words(text) == words[:MAX_TITLE_WORDS]
    assert len(set(words)) == len(words) <= MAX_DESCRIPTION_WORDS
    for word in words:
        assert 0 < len(word) <= MAX_WORD_LENGTH
        assert is_normalized("NFC", word)
    search = parse_search(text)
    assert bool(search) == bool(words)
    assert len(search.words) <= MAX_SEARCH_WORDS
    assert len(search.substrings) <= MAX_SEARCH_WORDS
    for lexeme in lexemes(2**53, words):
        assert len(lexeme.encode()) <= MAX_LEXEME_BYTES


@settings(max_examples=200)
@given(texts, texts)
def test_a_text_is_found_by_itself_and_by_each_of_its_words(title: str, description: str) -> None:
    for text in (title, description):
        for term in [text, *(token[0] for token in TOKEN.finditer(text))]:
            assert finds(parse_search(term), title, description) == bool(parse_search(term))


@settings(max_examples=200)
@given(texts, st.integers(0, 40), st.integers(1, 40))
def test_a_part_of_a_run_and_the_beginning_of_a_word_find_it(
    text: str, start: int, length: int
) -> None:
    text = re.sub("[\u0300-\u036f\u00ad\u200c\u200d\u3099\ufe0f\u20e3]", "", normalize("NFC", text))
    for token in TOKEN.finditer(text):
        first = start % len(token[0]) if token.lastgroup == "run" else 0
        if search := parse_search(token[0][first : first + length]):
            assert finds(search, text, None)


@pytest.mark.parametrize(
    "make",
    [
        lambda: "word " * 2_000,
        lambda: "".join(chr(0x4E00 + at) for at in range(10_000)),
        lambda: "a" + f"{ACUTE}\u0323" * 5_000,
        lambda: "か" + f"{ACUTE}\u0323" * 5_000,
        lambda: "ཀ" + "\u0f73\u0334" * 5_000,
        lambda: ("я" + f"{ACUTE}\u0323" * 20) * 240,
        lambda: ACUTE * 10_000,
        lambda: "😀" * 10_000,
        lambda: "👩\u200d" * 5_000,
        lambda: normalize("NFD", "한국어" * 1_200),
        lambda: "ﬃ ΐ" * 2_500,
    ],
)
def test_words_take_linear_time(make: Callable[[], str]) -> None:
    text = make()
    # Linear time takes less than a tenth of a second, quadratic time several.
    start = time.process_time()
    description_words(text * 10)
    assert time.process_time() - start < 10
