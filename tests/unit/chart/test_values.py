"""The schema of the chart's values, and what is generated from it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import fastjsonschema
import pytest
import yaml

from chart import values as chart_values
from chart.__main__ import CHART
from datapath_probe.cli.in_cluster import run

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
ELSEWHERE = {
    "CILIUM_NAMESPACE",
    "COLLECTOR",
    "NODE_AGENT_NAMESPACE",
    "NODE_CERTIFICATES",
    "SAVE_EVIDENCE",
    "TRANSITION_WINDOWS",
}
"""Variables that other values set, or that are for tests."""
DEFAULTS = yaml.safe_load(chart_values.values_yaml(SCHEMA))


def objects(schema: object) -> Iterator[dict[str, Any]]:
    """All schemas of objects."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from objects(inner)


def test_every_object_is_closed_unless_kubernetes_defines_it() -> None:
    for one in objects(SCHEMA):
        assert "properties" not in one or one["additionalProperties"] is False
    open_values = {
        value.name
        for value in chart_values.values(SCHEMA)
        if (declared := _declared(value.path)).get("type") == "object"
        and declared.get("additionalProperties", True) is True
    }
    assert open_values == {"evidence.volume", "global"}


def _declared(path: tuple[str, ...]) -> dict[str, Any]:
    found = SCHEMA
    for name in path:
        found = found["properties"][name]
    return found


def test_every_value_has_a_description_of_one_sentence_at_least() -> None:
    every = list(chart_values.values(SCHEMA))
    assert len(every) > 50
    for value in every:
        assert re.fullmatch(r"[A-Z].*\.", value.description), value.name


def test_the_defaults_fit_the_schema_and_so_do_the_examples() -> None:
    validate = fastjsonschema.compile(SCHEMA)
    validate(DEFAULTS)
    commented = chart_values.values_yaml(SCHEMA).replace("\n  # ", "\n  #  ")
    everything = re.sub(r"\n  #  (\w+: )", r"\n  \1", commented)
    shown = yaml.safe_load(everything)
    assert (
        len(shown["options"]) == len(SCHEMA["properties"]["options"]["properties"]) > len(DEFAULTS["options"])
    )
    validate(shown)


def test_options_are_those_of_the_operator() -> None:
    declared = SCHEMA["properties"]["options"]["properties"]
    options = {
        _camel_case(str(option.envvar)): option
        for option in run.params
        if option.envvar and option.envvar not in ELSEWHERE
    }
    assert declared.keys() == options.keys()
    for name, option in options.items():
        assert declared[name]["description"] == option.to_info_dict()["help"]


def _camel_case(variable: str) -> str:
    first, *rest = variable.lower().split("_")
    return first + "".join(map(str.capitalize, rest))


def test_an_example_is_the_default_of_the_operator_if_it_has_one() -> None:
    options = {
        _camel_case(str(option.envvar)): option.to_info_dict() for option in run.params if option.envvar
    }
    compared = 0
    for name, declared in SCHEMA["properties"]["options"]["properties"].items():
        if "examples" in declared and isinstance(default := options[name]["default"], int | str):
            assert declared["examples"] == [default]
            compared += 1
    assert compared == 6


@pytest.mark.parametrize(
    ("declared", "shown"),
    [
        ({"default": ""}, 'name: ""'),
        ({"default": {"a": ["1", 2, True]}}, "name: {a: ['1', 2, true]}"),
        ({"default": False}, "name: false"),
        ({"examples": [16]}, "# name: 16"),
    ],
)
def test_a_value_without_a_default_is_commented_out(declared: dict[str, Any], shown: str) -> None:
    schema = {"properties": {"name": {"description": "Says what.", **declared}}}
    assert chart_values.values_yaml(schema).splitlines()[-2:] == ["# Says what.", shown]


def test_the_table_has_a_row_for_each_value() -> None:
    schema = {
        "properties": {
            "a": {"properties": {"b": {"description": "Says what.", "default": [1]}}},
            "c": {"description": "Says more.", "examples": [2]},
        }
    }
    assert chart_values.table(schema).splitlines()[2:] == [
        "| `a.b` | `[1]` | Says what. |",
        "| `c` |  | Says more. |",
    ]
