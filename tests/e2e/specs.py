"""Specs that several tests use: a ship requests landing at a deathstar or at their Service."""

from e2e.api import Object
from e2e.galaxy import Pod

LANDING: Object = {"method": "POST", "path": "/v1/request-landing", "timeout": "2s"}
SERVICE: Object = {"service": {"name": "deathstar", "port": 80}}


def to_pod(ship: str, pod: Pod, port: int = 80) -> Object:
    """From a ship to this pod."""
    return landing(ship, {"pod": {"name": pod.name, "port": port}})


def landing(ship: str, destination: Object) -> Object:
    """From a ship to any destination."""
    return {
        "source": {"pod": ship},
        "destination": destination,
        "request": LANDING,
        "expect": {"bodyContains": "Ship landed"},
    }
