"""The doors to the outside world; `kube` implements them, tests fake them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..evidence.fact import Fact
from ..evidence.reading import Reading


@dataclass(frozen=True, slots=True)
class ContainerRef:
    """A container to run something in; `uid` guards against a pod re-created under the same name."""

    namespace: str
    pod: str
    container: str
    uid: str


class Agents(Protocol):
    """The Cilium agents, one per node."""

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        """These facts of a node, as a rule in one round trip; one reading each, in this order; never raises."""
        ...


class SourceContainers(Protocol):
    """Source pods' containers, where curl runs."""

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        """Run one command to its end; never raises."""
        ...


class AgentContainers(Protocol):
    """The containers of the Cilium agents, for facts that are had while something else lasts."""

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
        """Collect until `stop` is set, or to the end; never raises. `started` is set when it has begun, or ends."""
        ...
