"""Conditional requests, for each operation that takes If-Match or If-None-Match."""

from __future__ import annotations

import pytest
from support.api import Api
from support.calls import CALLS, Call, everything_of
from support.resources import filled_in

CONDITIONAL = [call for call in CALLS if "If-Match" in call.parameters("header")]
WRITES = [call for call in CONDITIONAL if call.method != "GET"]
READS = [call for call in CALLS if "If-None-Match" in call.parameters("header")]
MALFORMED = ("7", "", " ", ",", "7, *", '*, "7"', '"7', 'w/"7"', '"7" "8"', '"a b"', "W/", "'7'")


def test_each_operation_with_an_etag_takes_a_condition() -> None:
    for call in CALLS:
        headers = call.described["responses"][str(call.status)]["headers"]
        is_create = call.status == 201
        assert ("ETag" in headers) <= (call in CONDITIONAL or is_create), call
    assert [call for call in CONDITIONAL if call.method == "GET"] == READS


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_a_write_is_done_only_for_the_current_version(user: Api, call: Call) -> None:
    request = filled_in(call, user)
    before = everything_of(user)
    for stale in ('"0"', '"999999999"', '"nonsense"', '""', '"*"', '"0", ,"1x"'):
        refused = request.send(user, headers={"If-Match": stale})
        assert refused.status_code == 412
        assert refused.get_json()["code"] == "precondition_failed"
        assert "has changed" in refused.get_json()["detail"]
    current = refused.headers["ETag"]
    weak = request.send(user, headers={"If-Match": f"W/{current}"})
    assert weak.status_code == 412
    assert "weak entity tag" in weak.get_json()["detail"]
    assert everything_of(user) == before
    done = request.send(user, headers={"If-Match": f'"0", {current}'})
    assert done.status_code == call.status


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_a_write_is_not_done_for_a_version_that_is_excluded(user: Api, call: Call) -> None:
    request = filled_in(call, user)
    before = everything_of(user)
    current = request.send(user, headers={"If-Match": '"0"'}).headers["ETag"]
    for excluded in ("*", current, f"W/{current}", f'"0", {current}'):
        for more in ({}, {"If-Match": current}, {"If-Match": "*"}):
            refused = request.send(user, headers={"If-None-Match": excluded} | more)
            assert (refused.status_code, refused.headers["ETag"]) == (412, current)
            assert "If-None-Match" in refused.get_json()["detail"]
    both = request.send(user, headers={"If-Match": '"0"', "If-None-Match": current})
    assert "has changed" in both.get_json()["detail"]
    assert everything_of(user) == before
    done = request.send(user, headers={"If-None-Match": '"0", "nonsense"', "If-Match": current})
    assert done.status_code == call.status


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_a_write_is_done_if_no_version_excludes_it(user: Api, call: Call) -> None:
    done = filled_in(call, user).send(user, headers={"If-None-Match": '"0", W/"999999999"'})
    assert done.status_code == call.status


@pytest.mark.parametrize("call", CONDITIONAL, ids=str)
def test_a_malformed_condition_is_reported_as_such(user: Api, call: Call) -> None:
    request = filled_in(call, user)
    before = everything_of(user)
    names = ("If-Match", "If-None-Match") if call in WRITES else ("If-Match",)
    for name in names:
        for malformed in MALFORMED:
            refused = request.send(user, headers={name: malformed})
            assert refused.status_code == 400, (name, malformed)
            (error,) = refused.get_json()["errors"]
            assert (error["pointer"], error["code"]) == (name, "not_an_entity_tag")
    assert everything_of(user) == before


@pytest.mark.parametrize("call", READS, ids=str)
def test_a_read_is_done_only_for_the_version_in_if_match(user: Api, call: Call) -> None:
    request = filled_in(call, user)
    first = request.send(user)
    tag = first.headers["ETag"]
    for current in (tag, f'"x", {tag}', "*"):
        again = request.send(user, headers={"If-Match": current})
        assert (again.status_code, again.data) == (200, first.data)
    known = request.send(user, headers={"If-Match": tag, "If-None-Match": tag})
    assert known.status_code == 304
    for stale in ('"0"', f"W/{tag}", '"nonsense"'):
        for more in ({}, {"If-None-Match": tag}):
            refused = request.send(user, headers={"If-Match": stale} | more)
            assert (refused.status_code, refused.headers["ETag"]) == (412, tag)
            assert ("weak" in refused.get_json()["detail"]) == stale.startswith("W/")


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
