"""What `collect` needs from the cluster. `kube` implements these interfaces, tests replace them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..api.spec.source import Client
from ..evidence.fact import Fact
from ..evidence.reading import Reading, Unavailable
from ..plan.request import CaSource
from ..sources.curl.request import CurlRequest


@dataclass(frozen=True, slots=True)
class ContainerRef:
    """A container to run commands in. `uid` distinguishes a pod from one that was re-created under the same name."""

    namespace: str
    pod: str
    container: str
    uid: str


class Agents(Protocol):
    """The Cilium agents, one per node."""

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        """One reading per fact, in this order, usually in one round trip. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Where a request comes from. `client`: where curl runs."""

    container: ContainerRef
    node: str
    client: Client


class Clients(Protocol):
    """Curl, in the containers of source pods or in their network namespaces."""

    async def send(self, sender: Sender, request: CurlRequest) -> Reading:
        """Send one request; what curl prints. Ends soon after the request's timeout. Never raises."""
        ...


class CaCertificates(Protocol):
    """The certificates of CAs that probes name."""

    async def read(self, namespace: str, source: CaSource) -> str | Unavailable:
        """The certificates as PEM, nothing else. `namespace`: that of the probe. Never raises."""
        ...


class AgentContainers(Protocol):
    """The containers of the Cilium agents, for facts that are collected over a period of time."""

    async def attend(
        self,
        target: ContainerRef,
        fact: Fact,
        *,
        started: asyncio.Event,
        stop: asyncio.Event,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        """Collect until `stop` is set or the command ends. Never raises. `started` is set when it has started, or has
        ended.
        """
        ...
