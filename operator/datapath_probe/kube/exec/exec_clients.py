"""Curl in the containers of source pods, each in an exec of its own.

In: a request. Out: what curl prints. Implements `collect.interfaces.Clients`; called by `kube.collectors`.
"""

from collections.abc import Sequence
from typing import Protocol

from ...api.spec.source import Client
from ...collect.interfaces import ContainerRef, Sender
from ...evidence.errors import EvidenceError
from ...evidence.reading import Reading, Unavailable
from ...sources.curl.request import CurlRequest, argv

# Time for the exec itself, beyond curl's own timeout.
_MARGIN_S = 5.0
_BODY_LIMIT_BYTES = 64 * 1024


class Containers(Protocol):
    """What runs a command in a container: `SourceExec`."""

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        """Run one command until it ends. Never raises."""
        ...


class ExecClients:
    """Sends requests from containers."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def send(self, sender: Sender, request: CurlRequest) -> Reading:
        """See `Clients`. Limited both by curl and by the exec."""
        if sender.client is Client.NODE:
            message = "the operator uses no node agents (--collector=exec), as client: Node needs"
            return Unavailable(EvidenceError.NODE_AGENT_UNAVAILABLE, message)
        words, stdin = argv(request)
        return await self._containers.run(
            sender.container,
            words,
            stdin=stdin,
            timeout_s=request.timeout_s + _MARGIN_S,
            stdout_limit=_BODY_LIMIT_BYTES,
        )
