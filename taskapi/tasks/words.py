"""Words of titles, descriptions and searches.

A word is a run of letters and digits, case-folded, in NFC, without accents on Latin and Greek
letters. An emoji is a word too. Scripts without spaces between words (Chinese, Japanese, Thai, Lao,
Khmer, Burmese) are indexed as overlapping pairs of letters, and the last letter of a run alone:
`東京都` gives `東京`, `京都` and `都`.

Each word becomes one lexeme of a tsvector, with the workspace's id before it: `42:bank`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, islice, pairwise
from typing import NamedTuple
from unicodedata import category, combining, normalize

MAX_TITLE_WORDS = 200
MAX_DESCRIPTION_WORDS = 1_800
MAX_SEARCH_WORDS = 50
MAX_WORD_LENGTH = 64
"""In characters. Only the beginning of a longer word is indexed and searched."""

MAX_LEXEME_BYTES = 2_046
"""The maximum of PostgreSQL's tsvector."""

MIN_SUBSTRING_LETTERS = 3


class SearchWord(NamedTuple):
    """A word that a task must have, in its title or its description."""

    text: str
    is_prefix: bool
    """Whether a longer word that begins with `text` matches too.

    False only for pairs inside a run of a script without spaces, which are complete. The last pair
    of a run is a prefix, because a vowel sign or tone mark may follow it in the task.
    """


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search. It is false if the text has no word, and then matches nothing.

    A task matches if it has each of `words`, in its title or its description, and if each of
    `substrings` occurs in the NFC of its title or of its description.
    """

    words: tuple[SearchWord, ...]
    substrings: tuple[str, ...]
    """Runs of three letters or more, in NFC, whose pairs could also match separately."""

    runs: tuple[str, ...]
    """All runs, folded like words. Snippets highlight whole runs instead of pairs."""

    def __bool__(self) -> bool:
        return bool(self.words)


def _character_class(codes: Iterable[int], kinds: str) -> str:
    """The characters of some general categories, as ranges inside `[]` of a regular expression."""
    ranges: list[list[int]] = []
    for code in codes:
        if category(chr(code))[0] not in kinds:
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


# Invisible characters that do not end a word: soft hyphen, joiners, direction marks, variation
# selectors and the like.
_IGNORED = (
    "\u00ad\u034f\u061c\u180b-\u180f\u200c-\u200f\u2060\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef"
)

# All combining marks lie below U+1F000, but for variation selectors.
_MARK = _IGNORED + _character_class(range(0x300, 0x1F000), "M")

_SPACELESS = (
    _character_class(
        chain(
            range(0x0E00, 0x0F00),  # Thai, Lao
            range(0x1000, 0x10A0),  # Burmese
            range(0x1780, 0x1800),  # Khmer
            range(0x3000, 0x3130),  # 々〆, Hiragana, Katakana, Bopomofo
            range(0x31A0, 0x3200),  # Bopomofo, Katakana
            range(0xA9E0, 0xAA00),  # Burmese
            range(0xAA60, 0xAA80),  # Burmese
            range(0xFF66, 0xFFA0),  # halfwidth Katakana
            range(0x1AFF0, 0x1B170),  # Kana
        ),
        "L",
    )
    # Han, the digit zero, compatibility ideographs, planes 2 and 3.
    + "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
)

_FLAG_LETTER = "\U0001f1e6-\U0001f1ff"
_PICTURE = (
    "\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u275a"
    "\u2763-\u2767\u2795-\u2797\u27a1\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\u3297\u3299"
    "\U0001f000-\U0001f0ff\U0001f170-\U0001f1e5\U0001f200-\U0001f64f\U0001f680-\U0001f6ff"
    "\U0001f7e0-\U0001f7ff\U0001f90c-\U0001faff"
)
# Signs of ordinary text (©, ™, arrows) are emoji only if a variation selector says so.
_SIGN = "#*\u00a9\u00ae\u203c\u2049\u2122\u2194-\u21aa\u24c2\u2934\u2935\u2b05-\u2b07\u3030\u303d"
# Text or color, a keycap, a skin tone, or the region of a flag.
_STYLE = "\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
_STYLED_PICTURE = rf"(?:[{_PICTURE}]|[{_SIGN}]\ufe0f)[{_STYLE}]*"

# `[^\W_]` is every letter and digit of Unicode. The lookahead is faster than a class of both.
_LETTERS = rf"(?:[0-9A-Za-z]+|(?![{_SPACELESS}])[^\W_])+"

TOKEN = re.compile(
    rf"(?P<word>(?:{_LETTERS}[{_MARK}]*)+)"
    rf"|(?P<run>(?:[{_SPACELESS}]+[{_MARK}]*)+)"
    rf"|(?P<emoji>[{_FLAG_LETTER}]{{1,2}}|{_STYLED_PICTURE}(?:\u200d{_STYLED_PICTURE})*)"
)
"""A word, an emoji, or a run of letters of scripts without spaces; `lastgroup` says which."""

RUN_LETTER = re.compile(rf"[{_SPACELESS}][{_MARK}]*")
"""A letter of a run, with its marks."""

_RUN_WITHOUT_MARKS = re.compile(rf"[{_SPACELESS}]+")
# More letters than `MAX_WORD_LENGTH` needs: three of them can be one syllable of Korean.
_BEGINNING = re.compile(rf"(?:[^\W_][{_MARK}]*){{,{4 * MAX_WORD_LENGTH}}}")

# The marks behind Latin and Greek letters, decomposed and case-folded, and behind digits.
_ACCENTS = re.compile(
    "(?<=[0-9a-z\u00df-\u02af\u0370-\u03ff\u1d00-\u1dbf\u1e00-\u1fff\u2c60-\u2c7f"
    rf"\ua722-\ua7ff\uab30-\uab6f\uff41-\uff5a])[{_MARK}]+"
)
# Letters that Unicode does not decompose. U+0131 is the dotless i of Turkish.
_STROKES = str.maketrans(
    {"đ": "d", "ħ": "h", "\u0131": "i", "ł": "l", "ø": "o", "ŧ": "t", "æ": "ae", "œ": "oe"}
)
_IGNORED_CHARACTERS = re.compile(f"[{_IGNORED}]+")
_EMOJI_STYLES = str.maketrans("", "", "\ufe0e\ufe0f")

# More marks on a letter are an attack.
_MANY = 32
_MARKS = re.compile(f"[{_MARK}]+")


def title_words(text: str) -> list[str]:
    """The distinct words of a title in order of first appearance, at most `MAX_TITLE_WORDS`."""
    return _distinct(_words(text), MAX_TITLE_WORDS)


def description_words(text: str | None) -> list[str]:
    """The distinct words of a description, at most `MAX_DESCRIPTION_WORDS`."""
    return _distinct(_words(text or ""), MAX_DESCRIPTION_WORDS)


def parse_search(text: str) -> Search:
    """Parse what a user searches for. Words beyond the first `MAX_SEARCH_WORDS` are ignored.

    Every word is a prefix, and their order does not matter. A run of one letter is a prefix; a
    longer run is its pairs, of which only the last is a prefix.
    """
    words: dict[SearchWord, None] = {}
    substrings: dict[str, None] = {}
    runs: dict[str, None] = {}
    for token in TOKEN.finditer(text):
        if len(words) >= MAX_SEARCH_WORDS:
            break
        if token.lastgroup != "run":
            words[SearchWord(folded(token), is_prefix=True)] = None
            continue
        letters = run_letters(token[0])
        *complete, last = _pairs(letters) if len(letters) > 1 else letters
        words |= {SearchWord(pair, is_prefix=False): None for pair in complete}
        words[SearchWord(last[:MAX_WORD_LENGTH], is_prefix=True)] = None
        runs["".join(letters)] = None
        if len(letters) >= MIN_SUBSTRING_LETTERS:
            substrings[_nfc(token[0]).rstrip(_IGNORED)] = None
    return Search(
        words=tuple(islice(words, MAX_SEARCH_WORDS)),
        substrings=tuple(islice(substrings, MAX_SEARCH_WORDS)),
        runs=tuple(islice(runs, MAX_SEARCH_WORDS)),
    )


def lexemes(workspace_id: int, words: Iterable[str]) -> list[str]:
    """Words as they are stored, each with the workspace's ID as a prefix."""
    return [_lexeme(workspace_id, word) for word in words]


def tsquery(workspace_id: int, word: SearchWord) -> str:
    """The term of a tsquery that matches a word, quoted; join terms with ` & `."""
    quoted = _lexeme(workspace_id, word.text).replace("\\", "\\\\").replace("'", "''")
    return f"'{quoted}':*" if word.is_prefix else f"'{quoted}'"


def folded(token: re.Match[str]) -> str:
    """The folded word of a token that is not a run."""
    text = token[0]
    if text.isascii():
        return text.lower()[:MAX_WORD_LENGTH]
    if token.lastgroup == "emoji":
        return text.translate(_EMOJI_STYLES)[:MAX_WORD_LENGTH]
    if len(text) > MAX_WORD_LENGTH:
        text = _beginning(text)
    # Case folding requires decomposed input: it turns the iota below a Greek letter into a letter,
    # whose place depends on the order of the marks.
    text = _IGNORED_CHARACTERS.sub("", text)
    text = normalize("NFD", normalize("NFD", _with_sorted_marks(text)).casefold())
    text = _ACCENTS.sub("", text)
    if not text.isascii():
        text = normalize("NFC", text.translate(_STROKES))
    return text[:MAX_WORD_LENGTH]


def run_letters(text: str) -> list[str]:
    """The letters of a run, each with its marks, in NFC."""
    if _RUN_WITHOUT_MARKS.fullmatch(text):
        return list(normalize("NFC", text))
    return RUN_LETTER.findall(_nfc(_IGNORED_CHARACTERS.sub("", text)))


def _words(text: str) -> Iterator[str]:
    seen: set[str] = set()
    for token in TOKEN.finditer(text):
        if token[0] in seen:
            continue
        seen.add(token[0])
        if token.lastgroup != "run":
            yield folded(token)
            continue
        letters = run_letters(token[0])
        yield from _pairs(letters)
        yield letters[-1][:MAX_WORD_LENGTH]


def _beginning(word: str) -> str:
    found = _BEGINNING.match(word)
    return found[0] if found else word


def _pairs(letters: list[str]) -> Iterator[str]:
    return ((first + second)[:MAX_WORD_LENGTH] for first, second in pairwise(letters))


def _distinct(words: Iterator[str], limit: int) -> list[str]:
    found: dict[str, None] = {}
    for word in words:
        found[word] = None
        if len(found) == limit:
            break
    return list(found)


def _lexeme(workspace_id: int, word: str) -> str:
    lexeme = f"{workspace_id}:{word}"
    if len(lexeme) * 4 <= MAX_LEXEME_BYTES:
        return lexeme
    return lexeme.encode()[:MAX_LEXEME_BYTES].decode(errors="ignore")


def _nfc(text: str) -> str:
    return normalize("NFC", _with_sorted_marks(text))


def _with_sorted_marks(text: str) -> str:
    """A canonically equivalent text that Python normalizes in linear time.

    Python sorts the marks of a letter by insertion, which takes quadratic time for thousands.
    """
    if len(text) <= _MANY:
        return text
    return _MARKS.sub(lambda found: _sorted(found[0]), text)


def _sorted(marks: str) -> str:
    if len(marks) <= _MANY:
        return marks
    marks = "".join([normalize("NFD", mark) for mark in marks])
    orders = [combining(mark) for mark in marks]
    # No mark moves past one of class 0. Classes are below 256.
    blocks = accumulate(order == 0 for order in orders)
    keys = [block * 256 + order for block, order in zip(blocks, orders, strict=True)]
    return "".join(marks[at] for at in sorted(range(len(marks)), key=keys.__getitem__))
