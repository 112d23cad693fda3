"""The limits of values in the status. What exceeds a limit is shortened instead of refused, so that no verdict is lost
to a verbose tool or an odd number. The CRD contains the same limits for the API server.

A limit annotates a type (`Annotated[str, Clip(64)]`) and applies when a model is built: every value of a status passes
here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from ..visible import visible


@dataclass(frozen=True, slots=True)
class Clip:
    """The largest length of a string, list or map. Strings are cut with "…"; their control characters are visible."""

    limit: int

    def cut(self, value: Any) -> Any:
        match value:
            case str():
                return self._text(value)
            case Mapping() if len(value) > self.limit:
                return dict(islice(value.items(), self.limit))
            case list() | tuple() if len(value) > self.limit:
                return value[: self.limit]
        return value

    def _text(self, text: str) -> str:
        shown = visible(text[: self.limit + 1])
        return shown if len(shown) <= self.limit else shown[: self.limit - 1] + "…"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.cut, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        keyword = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}[schema["type"]]
        return {**schema, keyword: self.limit}


@dataclass(frozen=True, slots=True)
class Clamp:
    """The range of an integer."""

    least: int
    most: int

    def clamp(self, value: int) -> int:
        return min(max(value, self.least), self.most)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.clamp, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core), "minimum": self.least, "maximum": self.most}
