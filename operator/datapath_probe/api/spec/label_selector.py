"""A LabelSelector, as in the API of Kubernetes. Part of the spec; `plan.selection` evaluates it.

Source: Kubernetes 1.34 `staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go` (`LabelSelector`).
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ..model import ApiModel, Rule, matches

_LONGEST_NAME = 317
"""A prefix of 253 characters, a slash, and a name of 63."""
_NAME = "^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_NAMES = "the name of a label must consist of letters, digits, '-', '_' and '.', after a prefix and '/' if it has one"

_Name = Annotated[str, Field(max_length=_LONGEST_NAME), matches(_NAME, _NAMES)]
_Value = Annotated[
    str,
    Field(max_length=63),
    matches(
        "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        "the value of a label must consist of letters, digits, '-', '_' and '.', with a letter or digit at both ends",
    ),
]
_Labels = Annotated[
    Mapping[str, _Value],
    Field(max_length=16),
    Rule(
        f"self.all(name, size(name) <= {_LONGEST_NAME} && name.matches('{_NAME}'))",
        _NAMES,
        lambda labels: all(len(name) <= _LONGEST_NAME and re.fullmatch(_NAME, name) for name in labels),
    ),
]


class SelectorOperator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


_WITH_VALUES = (SelectorOperator.IN, SelectorOperator.NOT_IN)


class LabelRequirement(ApiModel):
    """A requirement on one label."""

    rules: ClassVar = (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "In and NotIn require values; Exists and DoesNotExist allow none",
            lambda requirement: (requirement.operator in _WITH_VALUES) == bool(requirement.values),
        ),
    )

    key: _Name
    """Name of the label."""

    operator: SelectorOperator
    """How the label is compared. In: its value is one of values. NotIn: its value is none of them, or there is no such
    label. Exists, DoesNotExist: whether there is such a label."""

    values: Annotated[tuple[_Value, ...], Field(max_length=16)] = ()
    """Values for In and NotIn."""


class LabelSelector(ApiModel):
    """Selects pods by their labels. All requirements must be met; without any, every pod is selected."""

    match_labels: _Labels = Field(default_factory=dict)
    """Labels with the values that the pods must have."""

    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=16)] = ()
    """Further requirements on labels."""
