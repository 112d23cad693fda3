"""Every value of a status has limits, in the CRD and where a status is built."""

import json
from collections.abc import Iterator
from typing import Any

import fastjsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapath_probe.api.bounds import SIZE_LIMIT_BYTES, fitted
from datapath_probe.api.limits import Clip
from datapath_probe.api.status.path_result import RequestResult
from datapath_probe.api.status.probe_status import ProbeStatus
from unit.api.crd_schema import STATUS, assert_accepted
from unit.api.statuses import LONG, largest_status

Schema = dict[str, Any]
LIMITS = {
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "string": {"maxLength"},
    "array": {"maxItems"},
    "boolean": set[str](),
}


def leaves(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every value of the status that is not an object with known fields."""
    if "properties" in schema:
        for name, field in schema["properties"].items():
            yield from leaves(field, f"{path}.{name}")
        return
    yield path, schema
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from leaves(schema[keyword], f"{path}[]")


def test_every_value_of_the_status_has_limits() -> None:
    found = dict(leaves(STATUS, ""))
    assert len(found) > 80
    unbounded = {
        path
        for path, leaf in found.items()
        if not ({"enum"} <= leaf.keys() or LIMITS.get(leaf["type"], {"maxProperties"}) <= leaf.keys())
    }
    assert unbounded == set()


def test_the_largest_status_is_accepted() -> None:
    assert_accepted(fitted(largest_status(40, 40)).to_object())


def test_an_undeclared_field_is_not_accepted() -> None:
    """So that this validator can fail."""
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        assert_accepted({"verdict": "Healthy", "mood": "good"})


EXTREMES = st.sampled_from(
    (0, -1, 1, 65536, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30, -(10**30)),
) | st.integers(-(10**40), 10**40)
TEXTS = st.sampled_from(("", "\x1b[31m", "\u202e", "\ud800", "\x00" * 2000, LONG)) | st.text(
    st.characters(exclude_categories=[]), max_size=40
)


@st.composite
def anything(draw: st.DrawFn, schema: Schema) -> Any:
    """A value of the right type, within no limits."""
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    match schema["type"]:
        case "object" if "properties" in schema:
            required = set(schema.get("required", ()))
            names = [name for name in schema["properties"] if name in required or draw(st.booleans())]
            return {name: draw(anything(schema["properties"][name])) for name in names}
        case "object":
            return draw(st.dictionaries(TEXTS, TEXTS, max_size=40))
        case "array":
            return draw(st.lists(anything(schema["items"]), max_size=3)) * draw(st.sampled_from((1, 40)))
        case "integer":
            return draw(EXTREMES)
        case "boolean":
            return draw(st.booleans())
        case "string" if schema.get("format") == "date-time":
            return draw(
                st.sampled_from(
                    ("2026-11-30T12:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+01:00")
                )
            )
    return draw(TEXTS)


@settings(max_examples=settings().max_examples // 3)
@given(st.data())
def test_any_status_that_is_read_is_accepted_when_it_is_written(data: st.DataObject) -> None:
    fields = STATUS["properties"]
    names = data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True))
    status = {name: data.draw(anything(fields[name])) for name in names}
    written = fitted(ProbeStatus.from_object(status)).to_object()
    assert_accepted(written)
    text = json.dumps(written)
    assert len(text) <= SIZE_LIMIT_BYTES
    assert all(char.isprintable() for value in strings(written) for char in value)


def strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, member in value.items():
                yield name
                yield from strings(member)
        case list():
            for member in value:
                yield from strings(member)


def test_numbers_are_clamped_and_texts_cut() -> None:
    result = RequestResult(exit_code=10**30, http_status=-5, remote_port=10**30, error="x" * 600)
    assert (result.exit_code, result.http_status, result.remote_port) == (255, 0, 65535)
    assert result.error is not None
    assert (len(result.error), result.error[-1]) == (512, "…")


@given(st.integers(1, 40), st.text(st.characters(exclude_categories=[]), max_size=60))
def test_a_text_that_was_cut_is_not_cut_again(limit: int, text: str) -> None:
    """The value of an annotation is compared with the one in the status."""
    once = Clip(limit).cut(text)
    assert len(once) <= limit
    assert Clip(limit).cut(once) == once
