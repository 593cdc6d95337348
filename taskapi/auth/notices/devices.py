"""Describes the device of a login in words of our own.

The User-Agent header is not put into a message, because whoever logs in chooses it.
"""

from __future__ import annotations

# Each name is also part of the headers of some that come after it.
_PROGRAMS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = {
    "iPhone": "an iPhone",
    "iPad": "an iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Macintosh": "a Mac",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def describe(user_agent: str | None) -> str:
    """The program and the system of a User-Agent header, such as `Firefox on Windows`."""
    program = _first(_PROGRAMS, user_agent) or "an unknown program"
    system = _first(_SYSTEMS, user_agent)
    return f"{program} on {system}" if system else program


def _first(names: dict[str, str], user_agent: str | None) -> str | None:
    return next((name for word, name in names.items() if word in (user_agent or "")), None)
