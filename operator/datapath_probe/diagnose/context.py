"""The input of checks: a run with its evidence, its expected path, and the traces of its packets in conntrack."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..addresses import IpAddress, family_of, with_port
from ..api.reasons import Reason
from ..api.vocabulary import Encapsulation, HopName
from ..evidence.reading import Absent, Unavailable
from ..plan.path import ExpectedHop, ExpectedPath
from ..plan.plan import Backend, NodeFacts, Plan, PodFacts
from ..sources.agent import agent_config, agent_endpoint
from ..sources.agent.agent_config import AgentConfig
from ..sources.agent.agent_endpoint import AgentEndpoint
from ..sources.bpf import map_layout
from ..sources.bpf.map_layout import Layout
from ..sources.client_report import ClientReport
from .connection.connection import Connection
from .connection.outcome import Outcome
from .finding.evidence_reader import EvidenceReader
from .finding.finding import Finding
from .finding.hop_check import LIVE, ConfirmationPolicy, HopCheck
from .run.run import PathRun

SENT_AGAIN_S = 0.9
"""The kernel retransmits a SYN after one second without a reply (RFC 6298)."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """`report` is None while the request is in flight; `connection` is then empty. `registry`: the check of each hop.
    `confirmation`: how often a contradiction must be read before it counts.
    """

    run: PathRun
    reader: EvidenceReader
    path: ExpectedPath
    backend: Backend | None
    report: ClientReport | Unavailable | None
    outcome: Outcome
    connection: Connection
    registry: "Registry"
    confirmation: ConfirmationPolicy = LIVE

    @property
    def plan(self) -> Plan:
        """The plan of the run."""
        return self.run.plan

    @property
    def config(self) -> AgentConfig:
        """Cilium's configuration from the ConfigMap."""
        return self.path.config

    @property
    def source(self) -> PodFacts:
        """The source pod."""
        return self.run.plan.source

    @property
    def destination(self) -> PodFacts | None:
        """The destination pod. None until it is known, and if the destination has no endpoint."""
        return self.backend.target if self.backend and isinstance(self.backend.target, PodFacts) else None

    @property
    def to_endpoint(self) -> bool:
        """Whether packets go to an endpoint, not to a host or out of the cluster."""
        return self.destination is not None

    @property
    def protocol(self) -> str:
        """The protocol of the Service's port, or TCP."""
        return self.plan.frontend.port.protocol if self.plan.frontend else "TCP"

    @property
    def client_port(self) -> int | None:
        """The source port of the request; None for packets of another protocol."""
        return self.run.request.local_port if self.protocol == "TCP" else None

    @property
    def translates(self) -> bool:
        """Whether the source's program selects a backend and creates a conntrack SVC entry."""
        plan = self.run.plan
        return plan.frontend is not None and not self.config.socket_lb and not plan.source.pod.host_network

    @property
    def needs_loss_search(self) -> bool:
        """Whether to search for the cause of packet loss: the request failed, was late, needed a retransmission, or was
        answered although conntrack has no entry for it.
        """
        outcome, report = self.outcome, self.report
        if not outcome.met or not isinstance(report, ClientReport):
            return outcome.met is False
        late = outcome.shortfall is not None and outcome.shortfall[0] is Reason.TOO_SLOW
        handshake_s = report.timings.connect - report.timings.name_lookup
        return late or handshake_s >= SENT_AGAIN_S or self.connection.no_conntrack_entries

    @property
    def address(self) -> IpAddress:
        """The address of the backend."""
        assert self.backend is not None  # the path has hops towards a backend only with one
        return self.backend.ip

    @property
    def server(self) -> str:
        """The backend as "ip:port"; the display name of the destination while the backend is not known."""
        return with_port(self.backend.ip, self.backend.port) if self.backend else self.plan.destination

    def wire_ips(self, node: NodeFacts) -> tuple[IpAddress, ...]:
        """The node's addresses between nodes: of the version of IP of the tunnel, or without one of the path's own."""
        tunneled = self.path.encapsulation is not Encapsulation.NONE
        family = self.config.underlay_family if tunneled else self.plan.family
        ips = node.cilium.internal_ips if node.cilium else ()
        return tuple(ip for ip in ips if family_of(ip) is family)

    def hop(self, expected: ExpectedHop, object_: str) -> HopCheck:
        """A new check of a hop."""
        return HopCheck(expected, object_, self.reader, self.run.second_look, self.confirmation)

    def check(self, expected: ExpectedHop) -> Finding:
        """Run the check that is registered for the hop."""
        return self.registry.check_for(self, expected.name)(self, expected)

    def agent_endpoint(self, pod: PodFacts) -> AgentEndpoint | Unavailable:
        """The pod's endpoint according to the agent on its node: looked up by the ID in the CiliumEndpoint, or by the
        pod's address if there is no CiliumEndpoint.
        """
        name = f"{pod.pod.namespace}/{pod.pod.name}"
        if pod.endpoint is None:
            return self._endpoint_at(pod, f"pod {name} has no CiliumEndpoint")
        node, number = pod.node.name, pod.endpoint.endpoint_id
        endpoint = self.reader.read(agent_endpoint.fact(node, number), agent_endpoint.parse)
        if isinstance(endpoint, Absent):
            message = f"the agent on {node} has no endpoint {number}, which should be {name}"
            return Unavailable(Reason.CILIUM_ENDPOINT_MISMATCH, message)
        return endpoint

    def _endpoint_at(self, pod: PodFacts, unknown: str) -> AgentEndpoint | Unavailable:
        node, ip = pod.node.name, pod.pod.ip
        if ip is None:
            return Unavailable(Reason.CILIUM_ENDPOINT_MISSING, unknown)
        endpoint = self.reader.read(agent_endpoint.at(node, ip), agent_endpoint.parse)
        if isinstance(endpoint, Absent):
            message = f"{unknown}, and the agent on {node} has no endpoint with its address {ip}"
            return Unavailable(Reason.CILIUM_ENDPOINT_MISSING, message)
        return endpoint

    def agent_config(self, node: str) -> AgentConfig | Unavailable:
        """The configuration that the node's agent runs with."""
        return self.reader.read(agent_config.fact(node), agent_config.parse)

    def layout(self, node: str) -> Layout | Unavailable:
        """The map layout of the Cilium version on the node."""
        return self.reader.read(map_layout.version(node), map_layout.parse)


Check = Callable[[CheckContext, ExpectedHop], Finding]
"""Judges one hop."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The check of each hop.

    `to_host`, `from_host`: the checks to use if the destination, or the source, has no endpoint. `of_queries`: the hops
    to judge on the path to a name server. `of_kubelets`: the hops that a kubelet's readiness probe traverses.
    """

    checks: Mapping[HopName, Check]
    to_host: Mapping[HopName, Check]
    from_host: Mapping[HopName, Check]
    of_queries: frozenset[HopName]
    of_kubelets: frozenset[HopName]

    def check_for(self, context: CheckContext, hop: HopName) -> Check:
        """The check for this hop on the context's path."""
        if context.backend and not context.to_endpoint and hop in self.to_host:
            return self.to_host[hop]
        if context.source.pod.host_network and hop in self.from_host:
            return self.from_host[hop]
        return self.checks[hop]
