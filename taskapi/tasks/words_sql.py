"""Full-text search within one account, by PostgreSQL's own means, as text of SQL.

Each word is kept with the account's id before it, so that an index of everybody's words is as good
as one for each account, and serves searches for the beginnings of words too. Words are taken as
they are, whatever the language (the configuration `simple`).
"""

from __future__ import annotations

# No lexeme may have more than 2046 bytes, the account's id included: what is so long is no word.
# A word has no white space in it, so that a quote behind some begins one.
_WORDS = r"""
(replace(' ' || strip(to_tsvector('simple'::regconfig, {title} || ' ' ||
CASE WHEN length({body}) > 500 THEN regexp_replace({body}, '\S{{255,}}', '', 'g')
ELSE coalesce({body}, '') END))::text, ' ''', (' ''' || user_id::text) || ':')::tsvector)
""".strip()

_ASKED = r"""
(SELECT string_agg('''' || {owner} || replace(replace(lexeme, '\', '\\'), '''', '''''') || ''':*',
' & ') FROM unnest(to_tsvector('simple'::regconfig, {asked})))::tsquery
""".strip()


def words_of(title: str, body: str) -> str:
    """The words of a row's two columns, each with the row's user_id before it."""
    return _WORDS.format(title=title, body=body)


def asked_words(asked: str, owner: str | None = None) -> str:
    """What is searched for, as a tsquery: all words of a text, or others that begin with them.

    Null, which matches nothing, where there is no word.

    Args:
        asked: the text's placeholder.
        owner: that of the account, whose words are searched by `words_of`; None to search any text.
    """
    return _ASKED.format(asked=asked, owner=f"CAST({owner} AS text) || ':'" if owner else "''")
