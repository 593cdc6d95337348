"""Use cases of the caller's sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskapi.auth import queries as statements
from taskapi.auth.live_pages import read_live_page
from taskapi.auth.models import Session
from taskapi.auth.profile.service import get_me
from taskapi.db import database
from taskapi.db.rows import row_class
from taskapi.db.tenancy import scope
from taskapi.extensions import table_of
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import NotFound


class SessionList(NamedTuple):
    """A page of live sessions."""

    sessions: list[dict[str, Any]]
    total: int
    next_cursor: str | None


def list_sessions(caller: Caller, query: Mapping[str, Any]) -> SessionList:
    """Return a page of the caller's live sessions, newest first.

    Args:
        query: the validated limit and cursor.

    Raises:
        InvalidInput: the cursor is invalid.
        SessionEnded: the caller's session has ended.
    """
    page = read_live_page(caller, query, statements.session_page, _SessionRow)
    sessions = [_represent(caller, row) for row in page.rows]
    return SessionList(sessions, page.total, page.next_cursor)


def end_session(caller: Caller, session_id: int) -> None:
    """End one of the caller's sessions.

    Raises:
        NotFound: it has ended already, or it is another user's.
        SessionEnded: the caller's own session has ended.
    """
    parameters = {"session_id": session_id, **scope(caller)}
    if database.row(statements.end_own_session, **parameters) is None:
        get_me(caller)
        raise NotFound("Session not found")
    log_event("session_ended", user_id=caller.user_id, session_id=session_id)


def end_other_sessions(caller: Caller) -> int:
    """End the caller's other sessions, and return their number.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    ended = database.rows(statements.end_other_sessions, **scope(caller))
    if not ended:
        get_me(caller)
    log_event("other_sessions_ended", user_id=caller.user_id, ended=len(ended))
    return len(ended)


_SessionRow = row_class("Session", (column.name for column in table_of(Session).c))


def _represent(caller: Caller, session: Any) -> dict[str, Any]:
    names = ("id", "created_at", "last_used_at", "expires_at", "user_agent")
    found = {name: getattr(session, name) for name in names}
    address = session.address
    is_current = session.id == caller.session_id
    return found | {"address": str(address) if address else None, "is_current": is_current}
