"""What specs of tests are made of."""

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

POD = {"name": "deathstar-0", "port": 80}
SERVICE = {"name": "deathstar", "port": 80}


def spec(**changes: Any) -> Spec:
    """The smallest valid spec, with changes at the top level."""
    return {"source": {"pod": "xwing"}, "destination": {"pod": POD}, **changes}


@dataclass(frozen=True, slots=True)
class Refused:
    """`says`: the part of the API server's message that describes what is allowed."""

    spec: Spec
    says: str
