"""An endpoint as its agent set it up: interface, MACs, identity. Changes only with the endpoint.

Source: Cilium 1.16–1.20 `cilium-dbg endpoint get`, `api/v1/models/endpoint*.go`.
"""

from dataclasses import dataclass

from ...evidence.question import LONG_S, Question
from ...evidence.reading import Absent, Answer, Unavailable
from ..byte_order import device_name, endpoint_id, ip_text, packed
from ..parsing import Json, failed, parser


@dataclass(frozen=True, slots=True)
class AgentEndpoint:
    """`interface_name`, `ifindex`, `host_mac`: the lxc device's; `mac`: the pod's; `ipv4` "": it has none."""

    id: int
    state: str
    identity: int
    ipv4: str
    interface_name: str
    ifindex: int
    container_interface_name: str
    mac: str
    host_mac: str


def question(node: str, endpoint: int) -> Question:
    """The endpoint with this number on the node."""
    return _get(node, str(endpoint_id(endpoint)))


def at(node: str, ip: str) -> Question:
    """The endpoint with this address on the node, for a pod of which no number is known."""
    address = packed(ip)
    return _get(node, f"ipv{4 if len(address) == 4 else 6}:{ip_text(address)}")


def _get(node: str, which: str) -> Question:
    return Question(
        node,
        ("cilium-dbg", "endpoint", "get", which, "-o", "json"),
        timeout_s=LONG_S,
        max_age_s=30.0,
        by_agent=True,
    )


@parser("cilium-dbg endpoint get", exit_codes=range(256))
def parse(answer: Answer) -> AgentEndpoint | Absent | Unavailable:
    """The endpoint; absent where the agent has none such.

    One without identity (yet) or without an interface of its own, as the host's, counts as not understood.
    """
    if answer.exit_code:
        return Absent() if b"[404]" in answer.stderr else failed(answer, "cilium-dbg endpoint get")
    shown = Json.parse(answer.stdout).only()
    status = shown["status"]
    networking = status["networking"]
    addresses = [address["ipv4"].text("") for address in networking["addressing"]]
    return AgentEndpoint(
        id=shown["id"].integer(),
        state=status["state"].text(),
        identity=status["identity"]["id"].integer(),
        ipv4=next(filter(None, addresses), ""),
        interface_name=device_name(networking["interface-name"].text()),
        ifindex=networking["interface-index"].integer(),
        container_interface_name=device_name(networking["container-interface-name"].text("eth0")),
        mac=networking["mac"].text().lower(),
        host_mac=networking["host-mac"].text().lower(),
    )
