"""Models of spec and status → the CustomResourceDefinition. Run by `make crds`; prints YAML.

pydantic writes JSON Schema, the API server takes a dialect of OpenAPI v3, the structural schema: references
inlined, no `null`, no `title`, no `additionalProperties` beside `properties`.
Source: Kubernetes 1.34, apiextensions-apiserver `pkg/apiserver/schema`.
"""

from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from .. import group
from ..spec.probe_spec import ProbeSpec
from ..status.probe_status import ProbeStatus
from ..status.upgrade import DEPRECATED, RETIRED

_HEADER = (
    "# Made by `make crds` from operator/datapath_probe/api; `make crds-check` fails if it is out of date.\n"
)

# Not part of the dialect.
_LEFT_OUT = ("$ref", "title", "propertyNames")

_COLUMNS = (
    ("Source", "string", ".status.source", "Pods that send requests"),
    ("Destination", "string", ".status.destination", "Destination of requests"),
    ("Verdict", "string", ".status.verdict", "Verdict of the last run"),
    ("Hop", "string", ".status.divergentHop.name", "The hop that causes the verdict"),
    ("Reason", "string", ".status.reason", "Why the verdict is not Healthy"),
    ("Latency", "string", ".status.paths[0].request.timings.total", "Duration of the last request"),
    ("Last run", "date", ".status.lastRun.endTime", "Time since the last run"),
    ("Age", "date", ".metadata.creationTimestamp", "Time since the probe was created"),
)


class _StatusSchema(GenerateJsonSchema):
    """JSON Schema in which a field may be left out, but not be null; without defaults."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class _SpecSchema(_StatusSchema):
    """The same with defaults, where they carry information."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") in (None, "", ()):
            return super().default_schema(schema)
        return GenerateJsonSchema.default_schema(self, schema)

    def encode_default(self, dft: Any) -> Any:
        """Only what the default itself contains; the API server then applies the defaults of its members."""
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", exclude_unset=True)
        return super().encode_default(dft)


def _structural(model: type[BaseModel], generator: type[GenerateJsonSchema]) -> JsonSchemaValue:
    schema = model.model_json_schema(schema_generator=generator)
    return _inlined(schema, schema.pop("$defs"))


def _inlined(schema: JsonSchemaValue, definitions: dict[str, JsonSchemaValue]) -> JsonSchemaValue:
    """A copy of a schema in the API server's dialect."""
    if "$ref" in schema:  # keys next to the reference describe the field and take precedence
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")] | schema
    node = {keyword: value for keyword, value in schema.items() if keyword not in _LEFT_OUT}
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
    if "properties" in node:
        node.pop("additionalProperties")
        node["properties"] = {
            name: _inlined(field, definitions) for name, field in node["properties"].items()
        }
    elif node.get("type") == "object":
        node["additionalProperties"] = _inlined(node["additionalProperties"], definitions)
    if node.get("type") == "array":
        node["items"] = _inlined(node["items"], definitions)
        node.setdefault("x-kubernetes-list-type", "atomic")
    return node


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # fields of one type share their schema object; the file repeats it


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition, as the API server takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{group.PLURAL}.{group.GROUP}"},
        "spec": {
            "group": group.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": group.KIND,
                "listKind": f"{group.KIND}List",
                "singular": group.SINGULAR,
                "plural": group.PLURAL,
                "shortNames": [group.SHORT_NAME],
                "categories": ["cilium"],
            },
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": group.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, "description": description}
            for name, kind, path, description in _COLUMNS
        ],
        "schema": {"openAPIV3Schema": _root()},
    }


def _root() -> dict[str, Any]:
    return {
        "description": "A path through Cilium's datapath that is requested and checked hop by hop on schedule.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema of this object."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": _structural(ProbeSpec, _SpecSchema),
            "status": _with_retired(_structural(ProbeStatus, _StatusSchema)),
        },
    }


def _with_retired(status: JsonSchemaValue) -> JsonSchemaValue:
    """The schema of the status, with the fields that are only read from statuses of earlier versions."""
    for (*parents, name), schema in RETIRED.items():
        node = status
        for parent in parents:
            node = node["properties"][parent]
            node = node.get("items", node)
        node["properties"][name] = {"description": DEPRECATED, **schema}
    return status


if __name__ == "__main__":
    print(_HEADER + yaml.dump(crd(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110), end="")
