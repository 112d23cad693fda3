"""The status of the CRD as a validator: what the API server would refuse or drop, without one."""

from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema

from datapath_probe.api.crd.schema import crd


def _closed(schema: Any) -> Any:
    """Server-side apply refuses fields that the schema does not declare."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {keyword: _closed(part) for keyword, part in schema.items()}
    return {**closed, "additionalProperties": False} if isinstance(schema.get("properties"), dict) else closed


_ROOT = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
STATUS: dict[str, Any] = _ROOT["properties"]["status"]
_VALIDATE: Callable[[object], object] = fastjsonschema.compile(_closed(STATUS))


def assert_accepted(status: Mapping[str, object]) -> None:
    """Raises JsonSchemaValueException for a status that does not fit the schema."""
    _VALIDATE(status)
