"""Label selectors as text, as in annotations. Pure.

Source: Kubernetes 1.34 `staging/src/k8s.io/apimachinery/pkg/labels/selector.go`.
"""

import re
from collections.abc import Mapping

_KEY = r"(?P<key>[A-Za-z0-9][A-Za-z0-9._/-]*)"
_VALUE = r"[A-Za-z0-9._-]*"
_FORMS = {
    "exists": re.compile(_KEY),
    "absent": re.compile(rf"!\s*{_KEY}"),
    "equal": re.compile(rf"{_KEY}\s*==?\s*(?P<values>{_VALUE})"),
    "unequal": re.compile(rf"{_KEY}\s*!=\s*(?P<values>{_VALUE})"),
    "in": re.compile(rf"{_KEY}\s+in\s*\((?P<values>[^()]*)\)"),
    "not in": re.compile(rf"{_KEY}\s+notin\s*\((?P<values>[^()]*)\)"),
}
_COMMA_OUTSIDE_BRACKETS = re.compile(r",(?![^()]*\))")


def matches(selector: str, labels: Mapping[str, str]) -> bool | None:
    """Whether the selector selects an object with these labels; None if it is not valid or not supported."""
    requirements = (
        [part.strip() for part in _COMMA_OUTSIDE_BRACKETS.split(selector)] if selector.strip() else []
    )
    met = [_is_met(requirement, labels) for requirement in requirements]
    return None if None in met else all(met)


def _is_met(requirement: str, labels: Mapping[str, str]) -> bool | None:
    for form, pattern in _FORMS.items():
        found = pattern.fullmatch(requirement)
        if found is None:
            continue
        value = labels.get(found["key"])
        if form in ("exists", "absent"):
            return (value is not None) is (form == "exists")
        values = {text.strip() for text in found["values"].split(",")}
        return value in values if form in ("equal", "in") else value not in values
    return None
