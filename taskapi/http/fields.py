"""Fields of input, strictly validated, and fields of output."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from marshmallow import fields, validate

from taskapi.db import positions
from taskapi.field_errors import FieldErrorCode
from taskapi.identity import MAX_ID

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B)))
WHITE_SPACE += "\u2028\u2029\u202f\u205f\u3000"
"""Unicode's White_Space. `str.strip` removes more characters, browsers fewer."""

# Code generators copy patterns into programs and turn \u escapes into characters.
_NO_NUL = r"^[^\x00]*$"
# Python's \s has \x1c to \x1f too, which are no white space in Unicode.
_VISIBLE = r"^[^\x00]*(?:[^\s\x00\x85]|[\x1c-\x1f])[^\x00]*$"
_COLOR = re.compile("#[0-9A-Fa-f]{6}", re.ASCII)

MAX_NAME = 255

Messages = dict[str, str | list[Any] | dict[Any, Any]]


class Message(str):
    """An error message for people, with a code for programs."""

    code: FieldErrorCode

    def __new__(cls, text: str, code: FieldErrorCode) -> Message:
        message = super().__new__(cls, text)
        message.code = code
        return message

    def __reduce__(self) -> tuple[Any, ...]:
        return Message, (str(self), self.code)

    def format(self, *args: object, **kwargs: object) -> Message:
        """As `str.format`, with the code."""
        return Message(super().format(*args, **kwargs), self.code)


class _Strict:
    default_error_messages: Messages = {
        "required": Message("Required.", "required"),
        "null": Message("Must not be null.", "null"),
    }


class Value(_Strict, fields.Field[Any]):
    """The base of fields with types of their own. `metadata` describes their JSON."""


def _length(least: int, most: int) -> validate.Length:
    text = (
        f"Must have {least} to {most:,} characters."
        if least
        else f"Must have at most {most:,} characters."
    )
    return validate.Length(min=least or None, max=most, error=Message(text, "length"))


class Text(_Strict, fields.String):
    """A string, stored as given. Lengths are in code points.

    Args:
        trim: remove white space at both ends before the length is checked.
    """

    default_error_messages: Messages = {
        "invalid": Message("Must be a string.", "not_a_string"),
    }

    def __init__(self, *, least: int = 0, most: int, trim: bool = False, **kwargs: Any) -> None:
        self._trim = trim
        metadata = {"pattern": _VISIBLE if trim else _NO_NUL}
        metadata |= kwargs.pop("metadata", {})
        super().__init__(validate=_length(least, most), metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        return text.strip(WHITE_SPACE) if self._trim else text


class Name(Text):
    """A name or title, without white space at both ends."""

    def __init__(self, about: str, **kwargs: Any) -> None:
        text = f"{about} White space at both ends is removed."
        metadata = {"description": text} | kwargs.pop("metadata", {})
        super().__init__(least=1, most=MAX_NAME, trim=True, metadata=metadata, **kwargs)


_NOT_AN_EMAIL = Message("Must be an email address of at most 255 characters.", "not_an_email")


def normalized_email(text: str) -> str:
    """An email address as it is stored: trimmed, in lower case, in NFC."""
    return _nfc(text.strip(WHITE_SPACE).lower())


EMAIL_FORMAT = "idn-email"
"""The format in OpenAPI. The characters need not be ASCII."""


class EmailAddress(_Strict, fields.Email):
    """An email address, as `normalized_email` returns it."""

    default_error_messages: Messages = {
        "invalid": _NOT_AN_EMAIL,
    }

    def __init__(self, *, metadata: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(
            validate=validate.Length(max=255, error=_NOT_AN_EMAIL),
            metadata={"format": EMAIL_FORMAT} | (metadata or {}),
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        email = normalized_email(super()._deserialize(value, attr, data, **kwargs))
        if not email.isprintable():  # control characters, which a quoted local part may hold
            raise self.make_error("invalid")
        return email


_MAX_NORMALIZED = 1_000


def _nfc(text: str) -> str:
    """The text in NFC, unless it is far too long for its field."""
    # Takes quadratic time in the worst case, and shortens a text to a quarter at most.
    return unicodedata.normalize("NFC", text) if len(text) <= _MAX_NORMALIZED else text


class Password(Text):
    """A new password of 8 to 100 code points, normalized to NFC (RFC 8265 section 4.2)."""

    def __init__(self, about: str, *, least: int = 8, most: int = 100, **kwargs: Any) -> None:
        metadata = {"format": "password", "description": about}
        super().__init__(least=least, most=most, load_only=True, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return _nfc(super()._deserialize(value, attr, data, **kwargs))


class CurrentPassword(Password):
    """A password to verify. One that no account can have is wrong, not invalid."""

    def __init__(self, about: str, **kwargs: Any) -> None:
        super().__init__(about, least=0, most=_MAX_NORMALIZED, **kwargs)


class TrueOrFalse(_Strict, fields.Boolean):
    """A JSON boolean. 1 and "true" are invalid."""

    default_error_messages: Messages = {
        "invalid": Message("Must be true or false.", "not_a_boolean"),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class QueryBoolean(TrueOrFalse):
    """`true` or `false` in a query string."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise self.make_error("invalid", input=value)
        return bool(value == "true")


class _Bounded(_Strict, fields.Integer):
    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        self.least, self.most = least, most
        text = Message(f"Must be a whole number from {least:,} to {most:,}.", "out_of_range")
        quoted = Message(f"{text} Send it without quotes.", "wrong_type")
        super().__init__(
            validate=validate.Range(min=least, max=most, error=text),
            error_messages={"invalid": text, "too_large": text, "quoted": quoted},
            **kwargs,
        )


class QueryInteger(_Bounded):
    """A whole number in a query string, in ASCII digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,17}", str(value), re.ASCII):
            raise self.make_error("invalid", input=value)
        return int(value)


class WholeNumber(_Bounded):
    """A whole number in JSON: also 3.0 and 1e3. "1", true and 1.5 are invalid."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if type(value) is int:
            return value
        if type(value) is float and value.is_integer():
            return int(value)
        raise self.make_error("quoted" if isinstance(value, str) else "invalid", input=value)


class Ids(_Strict, fields.List[int]):
    """Distinct IDs, in any order."""

    default_error_messages: Messages = {
        "invalid": Message("Must be a list of IDs.", "not_a_list"),
        "empty": Message("Must have at least one ID.", "length"),
        "too_many": Message("Must have at most {most} IDs.", "too_many"),
        "repeated": Message("Must not contain an ID twice.", "repeated"),
    }

    def __init__(self, *, most: int, least: int = 0, **kwargs: Any) -> None:
        self._least, self._most = least, most
        bounds = {"minItems": least, "maxItems": most} if least else {"maxItems": most}
        metadata = bounds | {"uniqueItems": True} | kwargs.pop("metadata", {})
        super().__init__(WholeNumber(least=1, most=MAX_ID), metadata=metadata, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> list[int | None]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        if len(value) < self._least:
            raise self.make_error("empty")
        if len(value) > self._most:
            raise self.make_error("too_many", most=self._most)
        ids = super()._deserialize(value, attr, data, **kwargs)
        if len(set(ids)) < len(ids):
            raise self.make_error("repeated")
        return ids


class Color(_Strict, fields.String):
    """A color as six hexadecimal digits, in lower case."""

    default_error_messages: Messages = {
        "invalid": Message("Must be a color like #2e7d32.", "not_a_color"),
    }

    def __init__(self, **kwargs: Any) -> None:
        about = "Six hexadecimal digits, like `#2e7d32`. Returned in lower case. Null for no color."
        metadata = {"pattern": "^#[0-9A-Fa-f]{6}$", "description": about}
        super().__init__(allow_none=True, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        if not _COLOR.fullmatch(text):
            raise self.make_error("invalid")
        return text.lower()


class Choice(_Strict, fields.String):
    """One of several words."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        text = Message(f"Must be one of {', '.join(words)}.", "not_a_choice")
        super().__init__(validate=validate.OneOf(words, error=text), **kwargs)


class Id(fields.Integer):
    """An ID in a response."""

    def __init__(self, about: str, **kwargs: Any) -> None:
        metadata = {"description": about, "minimum": 1, "maximum": MAX_ID}
        super().__init__(required=True, metadata=metadata, **kwargs)


class Version(fields.Integer):
    """The version of a row in a response."""

    def __init__(
        self,
        about: str = "Increases with every change. It is the ETag of this resource.",
        *,
        least: int = 1,
    ) -> None:
        metadata = {"minimum": least, "description": about}
        super().__init__(required=True, dump_only=True, metadata=metadata)


class Timestamp(fields.DateTime):
    """An instant in a response (RFC 3339, in UTC)."""

    def __init__(self, about: str, **kwargs: Any) -> None:
        super().__init__(required=True, metadata={"description": about}, **kwargs)


class Position(fields.String):
    """A position in a manual order, in a response."""

    def __init__(self) -> None:
        about = "The position in the manual order. Compare positions as strings. `move` changes it."
        metadata = {"pattern": f"^{positions.PATTERN.pattern}$", "description": about}
        super().__init__(required=True, dump_only=True, metadata=metadata)


def after_field(about: str) -> WholeNumber:
    """The field of a move that names the row to move behind."""
    return WholeNumber(
        least=1,
        most=MAX_ID,
        allow_none=True,
        metadata={"description": f"{about} Null moves it to the start. Omit it for the end."},
    )
