"""docs/api.md, generated from the schema: `python -m datapath_probe.api.crd.reference > docs/api.md`."""

import json
from collections.abc import Iterator

from pydantic.json_schema import JsonSchemaValue

from .. import group
from ..status.upgrade import DEPRECATED
from .schema import crd

_HEAD = f"""\
<!-- Made by `make crds` from operator/datapath_probe/api. -->

# {group.KIND}

`apiVersion: {group.API_VERSION}`, short name `{group.SHORT_NAME}`, namespaced. Required fields are in bold.
`kubectl explain {group.PLURAL}.spec` shows the same.
"""


def page() -> str:
    """The page, as Markdown."""
    root = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return "\n".join([_HEAD, *_section("spec", root["spec"]), *_section("status", root["status"])])


def _section(name: str, schema: JsonSchemaValue) -> Iterator[str]:
    rules = [f"- {rule['message']}" for rule in schema.get("x-kubernetes-validations", ())]
    yield from (f"## {name}", "", schema["description"], "", *([*rules, ""] if rules else ()))
    yield from ("| field | values | default | |", "|---|---|---|---|", *_rows("", schema), "")


def _rows(prefix: str, schema: JsonSchemaValue) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        if field["description"] == DEPRECATED:
            continue
        path = f"{prefix}{name}"
        shown = f"**`{path}`**" if name in schema.get("required", ()) else f"`{path}`"
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        yield f"| {shown} | {_values(field)} | {default} | {field['description']} |"
        yield from _rows(f"{path}[]." if "items" in field else f"{path}.", field.get("items", field))


def _values(field: JsonSchemaValue) -> str:
    if "enum" in field:
        return ", ".join(field["enum"])
    if "items" in field:
        return f"list of {_values(field['items'])}, at most {field['maxItems']}"
    if "additionalProperties" in field:
        return "map of strings"
    return str(field.get("format") or field.get("type") or "integer or string")


if __name__ == "__main__":
    print(page(), end="")
