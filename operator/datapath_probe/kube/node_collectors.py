"""Who answers: node agents where they serve, commands in containers elsewhere, as the operator was started.

In: facts, requests. Out: readings. Implements the interfaces of `collect`. Imported by `cluster` only where node agents
are used: gRPC and cryptography take 18 MB. Both collectors are asked the same, and answer the same.
"""

from collections.abc import Callable, Sequence

import structlog
from kubernetes.aio.client import ApiClient

from ..api.spec.source import Client
from ..collect.interfaces import Agents, Clients, Sender
from ..evidence.errors import EvidenceError
from ..evidence.fact import Fact
from ..evidence.reading import Reading, Unavailable
from ..nodes.address import NodeAgentAddress
from ..nodes.certificates.authority import Identity
from ..nodes.certificates.files import IdentityFiles, NoIdentityError
from ..nodes.client.connections import Connections, NodeAgentError
from ..nodes.client.node_agents import NodeAgents
from ..nodes.client.node_clients import NodeClients
from ..sources.curl.request import CurlRequest
from .collection import Collection
from .node_certificates import NodeCertificates

log = structlog.get_logger(__name__)


class PreferredAgents:
    """Asks the node agent of a node; where none serves, or it does not know a kind of fact, Cilium's agent by exec.

    `fell_back` is called each time.
    """

    def __init__(self, nodes: NodeAgents, exec_agents: Agents, fell_back: Callable[[], None]) -> None:
        self._nodes = nodes
        self._exec = exec_agents
        self._fell_back = fell_back

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        """See `Agents`."""
        try:
            readings = list(await self._nodes.answers(node, facts))
        except NodeAgentError as error:
            log.debug("asked by exec instead", agent_node=node, why=str(error))
            self._fell_back()
            return await self._exec.ask(node, facts)
        unknown = [place for place, reading in enumerate(readings) if _is_outdated(reading)]
        if unknown:
            self._fell_back()
            answers = await self._exec.ask(node, [facts[place] for place in unknown])
            for place, reading in zip(unknown, answers, strict=True):
                readings[place] = reading
        return readings


class ChosenClients:
    """Sends each request as its probe wants, where that is possible. `containers` None: nothing is run in them."""

    def __init__(self, nodes: NodeClients, containers: Clients | None, serves: Callable[[str], bool]) -> None:
        self._nodes = nodes
        self._containers = containers
        self._serves = serves

    async def send(self, sender: Sender, request: CurlRequest) -> Reading:
        """See `Clients`. A request that may have been sent is not sent again another way."""
        match sender.client, self._containers:
            case Client.NODE, _:
                return await self._nodes.send(sender, request)
            case Client.AUTO, containers if containers is None or self._serves(sender.node):
                return await self._nodes.send(sender, request)
            case _, None:
                message = (
                    "the operator runs nothing in containers (--collector=nodes), as client: Container needs"
                )
                return Unavailable(EvidenceError.EXEC_FORBIDDEN, message)
            case _, containers:
                return await containers.send(sender, request)


class NodeCollectors:
    """Node agents, with commands in containers where those are allowed: `exec_agents` and `exec_clients`, else None.

    `fallbacks`: how often commands replaced a node agent. `certificates`: what issues them, None if they come from
    elsewhere.
    """

    def __init__(
        self,
        client: ApiClient,
        locate: Callable[[str], NodeAgentAddress | None],
        collection: Collection,
        exec_agents: Agents | None,
        exec_clients: Clients | None,
    ) -> None:
        self.fallbacks = 0
        mounted = collection.certificates
        self.certificates = None if mounted else NodeCertificates(client, collection.node_namespace)
        self._files = IdentityFiles(mounted) if mounted else None
        self._connections = Connections(self._identity)
        nodes = NodeAgents(self._connections, locate)
        self.agents: Agents = PreferredAgents(nodes, exec_agents, self._fell_back) if exec_agents else nodes
        self.clients = ChosenClients(NodeClients(self._connections, locate), exec_clients, nodes.serves)
        self.close = self._connections.close

    def _identity(self) -> Identity | None:
        """What the operator presents."""
        if self._files is None:
            return self.certificates.identity if self.certificates else None
        try:
            return self._files.read()
        except NoIdentityError:
            return None

    def _fell_back(self) -> None:
        self.fallbacks += 1


def _is_outdated(reading: Reading) -> bool:
    return isinstance(reading, Unavailable) and reading.reason == EvidenceError.NODE_AGENT_OUTDATED
