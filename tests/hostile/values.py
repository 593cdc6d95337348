"""Values that break other services, as written in JSON, in a query and in a header."""

from __future__ import annotations

import json

DEPTHS = (1_000, 5_000, 60_000)
MOMENTS = (
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+14:00",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "2200-01-01T00:00:01Z",
    "2016-12-31T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-01-05T24:00:00Z",
    "2026-01-05T09:30:00",
    "2026-01-05 09:30:00Z",
    "2026-01-05T09:30:00+24:00",
    "2026-01-05T09:30:00-00:60",
    "2026-01-05T09:30:00[Europe/Berlin]",
    "2026-W02-1",
    "20260105T093000Z",
    "1e3",
    "-1",
    "infinity",
    "-infinity",
    "now",
    "epoch",
    "\u0662\u0660\u0662\u0666-01-05",
)
"""Values that no field for a date or an instant accepts."""

TEXTS = (
    "",
    " ",
    "\t\u3000\u2028",
    "true",
    "null",
    "0",
    "1_0",
    "\u0663",
    "a" * 256,
    "a" * 10_001,
    "\U0001f331" * 10_001,
    "a" * 100_000,
    "\ufeffBOM",
    "\u202eright to left",
    "\x01\x1f\x7f\x80\x9f",
    "\ufffe\uffff\U0010ffff",
    "e" + "\u0301" * 400,
    "\u0130\u1e9e\u017f\u212a",
    "' OR '1'='1",
    "'; DROP TABLE tasks; --",
    "%s %(id)s %% {0} {id} ${id} :id $1",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "<script>alert(1)</script>",
    "a\r\nSet-Cookie: a=b\r\n\r\n",
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "\\u0000 \\ud800 \\",
    "a@example.com\r\nBcc: b@example.com",
    "@",
    "a@b",
    "a@[127.0.0.1]",
    '"a b"@example.com',
    "a" * 250 + "@example.com",
    "a" * 64,
    "\u0430dmin@\u0435xample.com",
    *MOMENTS,
)
_NUMBERS = (
    *("0", "-0", "-0.0", "1", "-1", "1.0", "1e0", "1E+2", "0.1", "1e-400", "-1e-400"),
    *(str(2**power + more) for power in (31, 53, 63, 64) for more in (-1, 0, 1)),
    *(str(-(2**power)) for power in (31, 53, 63, 64)),
    *("1e15", "1.7976931348623157e308", "9" * 400, "0." + "1" * 5_000),
)
_STRUCTURES = (
    *("[]", "{}", "[[]]", "[null]", '[""]', '{"": ""}', '{"$ne": null}', '{"__proto__": {}}'),
    *('["a", "b"]', '["tasks:read"]', '{"title": "a"}', '{"id": 1}', "[" + "0," * 9_999 + "0]"),
    "{" + ", ".join(f'"{number}": 0' for number in range(9_999)) + "}",
)
_WORDS = (
    *("due", "completion", "Europe/Berlin", "../../etc/passwd", "europe/berlin", "UTC\n"),
    *("FREQ=DAILY", "FREQ=DAILY;COUNT=1", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;"),
    *("2026-12-24T17:00:00Z", "2026-12-24T17:00:00+14:00", "2026-12-24T17:00:00.5Z"),
)
_DUES = (
    '{"date": "2026-12-24"}',
    '{"date": "2200-01-01"}',
    '{"date": 20261224}',
    '{"datetime": "2026-12-24T18:00:00", "timezone": "Asia/Kathmandu"}',
    '{"datetime": "2026-12-24T18:00:00", "timezone": ["UTC"]}',
    '{"datetime": {}, "timezone": {}}',
    '{"date": "2026-12-24", "datetime": "2026-12-24T18:00:00", "timezone": "UTC"}',
)
VALUES = tuple(
    value.encode()
    for value in (
        *map(json.dumps, (*TEXTS, *_WORDS)),
        *(*_NUMBERS, *_STRUCTURES, *_DUES, "true", "false", "null"),
    )
)
"""JSON that only some fields accept."""

NEVER = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 5_000, b"-" + b"9" * 5_000),
    *(b"01", b"+1", b".5", b"1.", b"1_0", b"0x10", b"1e", b"--1", "٣".encode(), b"True", b"None"),
    *(b"", b"'a'", b"a", b"tru", b"[1,]", b'{"a": 1,}', b'{"a"}', b"/**/1", b"1 // 2", b"1; 2"),
    *(b'"a', b'"a\nb"', b'"a\0b"', b'"\\x41"', b'"\\u12"', b'"\\u{41}"', b'"\\"'),
    *(b'"\\u0000"', b'"\\ud800"', b'"\\udfff"', b'"\\ude00\\ud83d"', b'["\\u0000"]'),
    *(b'{"\\u0000": 1}', b'{"a": {"\\udc00": 1}}', b'{"a": 1, "a": 1}'),
    *(b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe9"', b'"\xc3"'),
    *('"a"'.encode(coding) for coding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig")),
    *(b"[" * depth + b"]" * depth for depth in DEPTHS),
    *(b'{"a":' * depth + b"0" + b"}" * depth for depth in DEPTHS[:2]),
    *(b"[" * depth for depth in DEPTHS),
)
"""Invalid JSON, and JSON that no field accepts."""

QUERY = (
    *("", "%20", "+", "%2B1", "0", "-0", "-1", "1.0", "1e2", "1_0", "0x10", "01", "%D9%A3", "1%00"),
    *(str(2**power + more) for power in (31, 53, 63, 64) for more in (-1, 0, 1)),
    *(
        "9" * 400,
        "9" * 5_000,
        "NaN",
        "Infinity",
        "true",
        "false",
        "True",
        "TRUE",
        "1",
        "null",
        "[]",
    ),
    *("%", "%zz", "%u0041", "%00", "%0d%0aX-Injected:1", "%FF", "%C0%AF", "%ED%A0%80", "%C3"),
    *(
        "%F4%90%80%80",
        "%EF%BB%BF",
        "%E2%80%AE",
        "%27%20OR%201=1--",
        "%25s",
        "a" * 2_201,
        "a;b",
        "a,b",
    ),
    *("title%00", "-title;", "--title", "created_at,title", "title%20desc", "%2500", "..%2F..%2F"),
)
"""Values in a query string."""

SEGMENTS = (
    *(
        "0",
        "-1",
        "+1",
        "01",
        "1.0",
        "1e2",
        "1_0",
        "0x1",
        "1;a=b",
        "1%00",
        "%00",
        "%20",
        "%201",
        "1%20",
    ),
    *(
        "%D9%A3",
        "%C2%B9",
        "%FF",
        "%C0%AF",
        "%ED%A0%80",
        "%25",
        "%2e",
        "%2E%2E",
        "..%5C",
        "*",
        "~",
        "null",
    ),
    *(str(2**power + more) for power in (53, 63, 64) for more in (0, 1)),
    *(
        "9" * 400,
        "9" * 5_000,
        "%0d%0aX-Injected:1",
        "%E2%80%AE1",
        "1%0a",
        "%F0%9F%8C%B1",
        "1,2",
        "me",
    ),
    *("%3Cscript%3E", "%27%20OR%20%271%27=%271", "%7B%7B7*7%7D%7D", "%25s%25n", "NaN", "True"),
)
"""Invalid path arguments."""

HEADERS = (
    *(
        "",
        " ",
        ",",
        ",,,,",
        '"',
        '""',
        '"',
        "\\",
        '"\\"',
        ";",
        "=",
        "*",
        "**",
        "\t",
        "\x80\xff",
        "\xa0",
    ),
    *("0", "-1", "1e400", "NaN", "9" * 5_000, "\u00b2", "a" * 8_000, '"' * 4_001, '"a",' * 1_500),
    *('W/"1"', "W/", 'w/"0"', '"' + "9" * 400 + '"', "null", "true", "bytes=0-", "bytes=9-0,-1"),
    *(
        "' OR 1=1 --",
        "%00",
        "%0d%0aX-Injected: 1",
        "${7*7}",
        "{{7*7}}",
        "() { :;}; echo",
        "../../x",
    ),
    *("\xc3\xa9", "\xed\xa0\x80", "\xc0\xaf", "\xff\xfe", "a b", "a\tb", "(" * 500, "[" * 2_000),
)
"""Header values; each character is a byte."""
