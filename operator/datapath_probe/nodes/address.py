"""Where a node agent listens. A module of its own: an operator without node agents imports nothing else of them."""

from dataclasses import dataclass

from ..addresses import IpAddress


@dataclass(frozen=True, slots=True)
class NodeAgentAddress:
    """The agent of a node. `incarnation` changes with its pod and with restarts of its container."""

    node: str
    ip: IpAddress
    port: int
    ready: bool
    incarnation: str
