"""The schema that is generated from the models, without an API server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from datapath_probe.api.crd.reference import page
from datapath_probe.api.crd.schema import crd

Schema = dict[str, Any]

ROOT = Path(__file__).parents[3]
CRD = ROOT / "crds/datapathprobes.yaml"
PAGE = ROOT / "docs/api.md"


def root() -> Schema:
    schema: Schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every field of a schema with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from nodes(schema[keyword], f"{path}[]")


def fields() -> dict[str, Schema]:
    return {path: node for path, node in nodes(root()) if path.startswith((".spec", ".status"))}


def test_the_generated_files_match_the_models() -> None:
    assert yaml.safe_load(CRD.read_text()) == crd()
    assert PAGE.read_text() == page()


def test_every_field_is_described() -> None:
    undescribed = {path for path, node in fields().items() if not node.get("description")}
    assert {path for path in undescribed if not path.endswith("[]")} == set()


def test_every_description_says_more_than_the_name() -> None:
    """`kubectl explain` shows nothing else: a sentence, with words that are not in the field's name."""
    for path, node in fields().items():
        if path.endswith("[]"):
            continue
        text = node["description"]
        assert text.endswith("."), path
        assert text[0].isupper() or text[0] == '"', path
        words = re.findall("[A-Za-z]{2,}", text.lower())
        assert len(words) >= 3, path
        assert set(words) - set(re.findall("[A-Z]?[a-z]+", path.rpartition(".")[2].lower())), path


def test_bounds_of_numbers_are_described() -> None:
    for path, node in fields().items():
        if path.startswith(".spec") and {"minimum", "maximum"} <= set(node) and not path.endswith("[]"):
            assert f"{node['minimum']} to {node['maximum']}" in node["description"], path


def test_every_rule_says_what_to_do() -> None:
    rules = [rule for node in fields().values() for rule in node.get("x-kubernetes-validations", ())]
    assert rules
    for rule in rules:
        message = rule["message"]
        assert len(message.split()) >= 5, message
        assert re.search("must|leave out|set|specify|requires?|can't|has no|remove|write|choose", message), (
            message
        )
        assert not message.startswith("failed rule"), message


def test_every_string_list_and_map_is_bounded() -> None:
    bounds = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}
    unbounded = {
        path
        for path, node in fields().items()
        if (bound := bounds.get(node.get("type", "string")))
        and not {bound, "properties", "enum", "format"} & set(node)
    }
    assert unbounded == set()


def test_only_the_spec_has_defaults() -> None:
    assert {path.split(".")[1] for path, node in fields().items() if "default" in node} == {"spec"}


def test_no_member_of_an_exactly_one_of_has_a_default() -> None:
    for path in (".spec.schedule", ".spec.source", ".spec.destination"):
        members = {p for p in fields() if p.startswith(f"{path}.") and p.count(".") == path.count(".") + 1}
        members -= {".spec.source.client"}  # valid with all of them
        assert members
        assert not any("default" in fields()[member] for member in members)


def test_conditions_are_merged_by_type_and_other_lists_replaced() -> None:
    lists = {
        path: node["x-kubernetes-list-type"] for path, node in fields().items() if node.get("type") == "array"
    }
    assert lists.pop(".status.conditions") == "map"
    assert fields()[".status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert set(lists.values()) == {"atomic"}


def test_the_schema_contains_only_supported_keywords() -> None:
    known = {
        *("type", "description", "default", "enum", "format", "required", "properties", "items"),
        *("additionalProperties", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
        *(
            "maxProperties",
            "x-kubernetes-validations",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
        ),
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
    }
    assert {keyword for node in fields().values() for keyword in node} <= known
    assert not any({"properties", "additionalProperties"} <= set(node) for node in fields().values())
