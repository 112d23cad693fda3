"""The values of the Helm chart, as values.schema.json declares them: as values.yaml, and as the table of its README.

In: the schema. Out: text. Called by `__main__` and by tests.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

WIDTH = 110
HEADER = """\
# Made from values.schema.json by `make chart`. A value that is commented out is the operator's default, or an
# example if it has none.
"""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `default`: of the chart; otherwise the operator has one, or there is only an `example`."""

    path: tuple[str, ...]
    description: str
    default: Any = None
    example: Any = None

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def is_set(self) -> bool:
        return self.default is not None


def values(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[Value]:
    """The values in the order of the schema. An object without a default is a group of values."""
    for name, one in schema["properties"].items():
        here = (*path, name)
        if "properties" in one and "default" not in one:
            yield from values(one, here)
        else:
            [example] = one.get("examples", [None])
            yield Value(here, one["description"], one.get("default"), example)


def values_yaml(schema: Schema) -> str:
    """The chart's values.yaml."""
    lines = [HEADER]
    group: tuple[str, ...] = ()
    for value in values(schema):
        parents = value.path[:-1]
        if not parents:
            lines.append("")
        for depth, name in enumerate(parents):
            if parents[: depth + 1] != group[: depth + 1]:
                lines.append(f"{'  ' * depth}{name}:" if depth else f"\n{name}:")
        group = parents
        lines += _lines(value)
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _lines(value: Value) -> Iterator[str]:
    indent = "  " * (len(value.path) - 1)
    comment = f"{indent}# "
    yield textwrap.fill(value.description, WIDTH, initial_indent=comment, subsequent_indent=comment)
    shown = _flow(value.default if value.is_set else value.example)
    yield f"{indent}{'' if value.is_set else '# '}{value.path[-1]}: {shown}"


def table(schema: Schema) -> str:
    """The values as a table in Markdown."""
    rows = (
        f"| `{value.name}` | {f'`{_flow(value.default)}`' if value.is_set else ''} | {value.description} |\n"
        for value in values(schema)
    )
    return "| value | default | description |\n|---|---|---|\n" + "".join(rows)


def _flow(value: Any) -> str:
    """YAML on one line."""
    if isinstance(value, str):
        return json.dumps(value)
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1_000)
    return text.removesuffix("\n").removesuffix("\n...")
