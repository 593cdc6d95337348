"""Conditional requests, for each operation that takes If-Match or If-None-Match."""

from __future__ import annotations

import pytest
from support.api import Api
from support.calls import CALLS, Call, everything_of
from support.resources import filled_in

WRITES = [call for call in CALLS if "If-Match" in call.parameters("header")]
READS = [call for call in CALLS if "If-None-Match" in call.parameters("header")]


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_a_write_is_done_only_for_the_current_version(user: Api, call: Call) -> None:
    request = filled_in(call, user)
    before = everything_of(user)
    for stale in ('"0"', '"999999999"', '"nonsense"', "1", ""):
        refused = request.send(user, headers={"If-Match": stale})
        assert refused.status_code == 412
        assert refused.get_json()["code"] == "precondition_failed"
    current = refused.headers["ETag"]
    weak = request.send(user, headers={"If-Match": f"W/{current}"})
    assert weak.status_code == 412
    assert everything_of(user) == before
    done = request.send(user, headers={"If-Match": f'"0", {current}'})
    assert done.status_code == call.status


@pytest.mark.parametrize("call", READS, ids=str)
def test_a_read_returns_304_for_the_current_version(user: Api, stranger: Api, call: Call) -> None:
    request = filled_in(call, user)
    first = request.send(user)
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = request.send(user, headers={"If-None-Match": known})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    theirs = filled_in(call, stranger).send(stranger).headers["ETag"]
    others = {'"0"', '"nonsense"', theirs} - {tag}
    for other in others:
        again = request.send(user, headers={"If-None-Match": other})
        assert (again.status_code, again.data) == (200, first.data)


@pytest.mark.parametrize("call", [call for call in READS if not call.arguments], ids=str)
def test_two_users_at_the_same_version_have_other_etags(
    user: Api, stranger: Api, call: Call
) -> None:
    """A cache must not return one user's list to another."""
    tags = {filled_in(call, person).send(person).headers["ETag"] for person in (user, stranger)}
    assert len(tags) == 2
