"""The base of the models of spec and status: names, strictness, and validation rules.

A `Rule` is declared next to the field or model that it applies to. The CRD contains it as CEL for the API server, and
Python checks it here again, because the API server may hold objects that are older than the schema.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on a value, in two languages: `cel` for the API server, `holds` for Python.

    `message` says how to fix it. Annotates a type (`Annotated[str, Rule(…)]`) or is listed in `ApiModel.rules`.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]

    def check(self, value: Any) -> Any:
        """The value itself; raises what pydantic reports as a validation error."""
        if not self.holds(value):
            raise PydanticCustomError("rule", "{message}", {"message": self.message})
        return value

    def add_to(self, schema: JsonSchemaValue) -> None:
        """Write the rule into a JSON schema, as CEL."""
        schema.setdefault("x-kubernetes-validations", []).append({"rule": self.cel, "message": self.message})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        self.add_to(schema)
        return schema


def matches(pattern: str, message: str) -> Rule:
    """The rule that a string as a whole matches a pattern, which both RE2 and Python's `re` understand."""
    return Rule(
        f"self.matches({cel_string(pattern)})", message, lambda text: bool(re.fullmatch(pattern, text))
    )


def cel_string(text: str) -> str:
    """A CEL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class ApiModel(BaseModel):
    """Base of all models of the API: camelCase outside, docstrings as descriptions, no unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keeps_rules(self) -> Self:
        for rule in self.rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        for rule in cls.rules:
            rule.add_to(handler.resolve_ref_schema(schema))
        return schema
