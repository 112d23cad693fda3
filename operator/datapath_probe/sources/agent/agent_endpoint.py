"""An endpoint as its agent configured it: interface, MAC addresses, identity. It changes only with the endpoint.

Source: Cilium 1.16–1.20 `cilium-dbg endpoint get`, `api/v1/models/endpoint*.go`.
"""

from dataclasses import dataclass

from ...addresses import IpAddress, IpFamily, address, family_of
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.parameters import device_name
from ...evidence.reading import Absent, Answer, Unavailable
from ..parsing import Json, failed, parser


@dataclass(frozen=True, slots=True)
class AgentEndpoint:
    """`interface_name`, `ifindex`, `host_mac`: those of the lxc device; `mac`: that of the pod."""

    id: int
    state: str
    identity: int
    ips: tuple[IpAddress, ...]
    interface_name: str
    ifindex: int
    container_interface_name: str
    mac: str
    host_mac: str

    def ip_of(self, family: IpFamily) -> IpAddress | None:
        """Its first address of this version of IP; None if there is none."""
        return next((ip for ip in self.ips if family_of(ip) is family), None)


def fact(node: str, endpoint: int) -> Fact:
    """The endpoint with this id on the node."""
    return Fact.of(FactKind.AGENT_ENDPOINT, node, endpoint=endpoint)


def at(node: str, ip: IpAddress) -> Fact:
    """The endpoint with this address on the node, for a pod whose endpoint id is not known."""
    return Fact.of(FactKind.AGENT_ENDPOINT_BY_ADDRESS, node, address=ip)


@parser("cilium-dbg endpoint get", exit_codes=range(256))
def parse(answer: Answer) -> AgentEndpoint | Absent | Unavailable:
    """The endpoint; absent if the agent has none.

    An endpoint without an identity (yet) or without its own interface, such as the host's, is unparsable.
    """
    if answer.exit_code:
        return Absent() if b"[404]" in answer.stderr else failed(answer, "cilium-dbg endpoint get")
    shown = Json.parse(answer.stdout).only()
    status = shown["status"]
    networking = status["networking"]
    texts = (pair[name].text("") for pair in networking["addressing"] for name in ("ipv4", "ipv6"))
    return AgentEndpoint(
        id=shown["id"].unsigned(16),
        state=status["state"].text(),
        identity=status["identity"]["id"].unsigned(32),
        ips=tuple(map(address, filter(None, texts))),
        interface_name=device_name(networking["interface-name"].text()),
        ifindex=networking["interface-index"].unsigned(32),
        container_interface_name=device_name(networking["container-interface-name"].text("eth0")),
        mac=networking["mac"].text().lower(),
        host_mac=networking["host-mac"].text().lower(),
    )
