"""The methods of the service in `node_agent.proto`, for client and server."""

from typing import Final

from .node_agent_pb2 import DESCRIPTOR

_SERVICE = DESCRIPTOR.services_by_name["NodeAgent"]
SERVICE: Final[str] = _SERVICE.full_name


def path(method: str) -> str:
    """The path of a method. Raises KeyError if there is none of this name."""
    return f"/{SERVICE}/{_SERVICE.methods_by_name[method].name}"
