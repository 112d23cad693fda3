"""Specs that several tests use: a ship requests landing at a deathstar or at their Service."""

from e2e.api import Object
from e2e.galaxy import Pod

LANDING: Object = {"method": "POST", "path": "/v1/request-landing", "timeout": "2s"}
SERVICE: Object = {"service": {"name": "deathstar", "port": 80}}


def to_pod(ship: str, pod: Pod, port: int = 80) -> Object:
    """From a ship to this pod."""
    return landing(ship, {"pod": {"name": pod.name, "port": port}})


def secure(ship: str, pod: Pod, **tls: object) -> Object:
    """From a ship to this pod's HTTPS server."""
    trusted = {"caFrom": {"configMap": {"name": "tls", "key": "ca.crt"}}, "serverName": "deathstar.e2e.svc"}
    return {
        **to_pod(ship, pod, 443),
        "request": {**LANDING, "protocol": "HTTPS", "tls": tls or trusted},
    }


def landing(ship: str, destination: Object) -> Object:
    """From a ship to any destination."""
    return {
        "source": {"pod": ship},
        "destination": destination,
        "request": LANDING,
        "expect": {"bodyContains": "Ship landed"},
    }


def in_container(spec: Object) -> Object:
    """The same, by curl in the source container."""
    return {**spec, "source": {**spec["source"], "client": "Container"}}
