"""What `load` relies on, because it does not support all features of marshmallow."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from taskapi.auth import schemas as auth
from taskapi.http.schemas import Input, load
from taskapi.problems import InvalidInput
from taskapi.tasks import schemas as tasks
from taskapi.tasks.schemas import TASK


def _below(kind: type[Input]) -> list[type[Input]]:
    return [found for sub in kind.__subclasses__() for found in (sub, *_below(sub))]


INPUTS = _below(Input)


def test_all_fields_are_covered() -> None:
    assert {auth.Credentials, type(TASK.new), type(TASK.changes), tasks.TaskQuery} <= set(INPUTS)


@pytest.mark.parametrize("schema", INPUTS, ids=lambda schema: schema.__name__)
def test_input_schemas_have_no_hooks_and_no_data_keys(schema: type[Input]) -> None:
    assert not any(schema._hooks.values())
    assert {field.data_key for field in schema().load_fields.values()} <= {None}


@pytest.mark.parametrize(
    "values",
    [
        {"title": " a "},
        {"title": "a", "description": None, "is_completed": True},
        {"title": "a", "id": 7},
        {},
        {"title": 1, "is_completed": 1},
        {"title": None},
        {"title": "a", "done": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("schema", [TASK.new, TASK.changes])
def test_load_returns_what_the_schema_returns(schema: Input, values: dict[str, Any]) -> None:
    known = {name: value for name, value in values.items() if name not in schema.read_only}
    try:
        expected = schema.load(known)
    except ValidationError:
        with pytest.raises(InvalidInput):
            load(schema, values)
    else:
        given = {n: v for n, v in expected.items() if not (schema.drops_null and v is None)}
        assert load(schema, values) == given
