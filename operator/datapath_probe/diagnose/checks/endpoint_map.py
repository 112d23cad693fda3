"""Hops `endpoint-lookup` (the destination's node knows the pod) and `locality-lookup` (the source's does not).

Both are look-ups in the endpoint map `cilium_lxc`: a hit is what makes traffic local. Exercise 5.
Source: Cilium 1.18 `bpf/bpf_lxc.c` (`handle_ipv4_from_lxc`), `bpf/lib/local_delivery.h`.
"""

from ...api.reasons import Reason
from ...cilium import lxcmap
from ...cilium.agent_endpoint import AgentEndpoint
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ..case import Case
from ..findings import Finding, Rung
from ..judge import Contradiction

_DIED_BEFORE_DELIVERY = frozenset({Rung.SENT})


def check_locality_lookup(case: Case, expected: ExpectedHop) -> Finding:
    """On a cross-node path the source's node must not have the destination: a hit swallows the packets."""
    address = case.address
    hop = case.hop(expected, f"cilium_lxc[{address}]")
    hop.intent(f"{address} is on another node", {"destinationNode": case.path.destination_node})
    question = lxcmap.lookup(expected.node, address)
    record = case.lens.read(question, lxcmap.parse)
    if isinstance(record, Unavailable):
        return hop.unknown(record)
    if isinstance(record, Absent):
        hop.programmed("no such endpoint here, so packets leave the node")
        return hop.fine(f"{expected.node} does not take {address} for one of its own")
    hop.programmed("an endpoint of this node", {"ifindex": record.ifindex, "endpointID": record.endpoint_id})
    return hop.stale(
        Contradiction(
            Reason.UNEXPECTED_LOCAL_ENDPOINT,
            f"the endpoint map of {expected.node} has {address}, which is on {case.path.destination_node}: "
            "packets are delivered to an interface that is not the pod's",
            _DIED_BEFORE_DELIVERY,
            (question,),
        )
    )


def check_endpoint_lookup(case: Case, expected: ExpectedHop) -> Finding:
    """The destination's node must have it, with the interface, MACs and number that the agent gave it."""
    address = case.address
    hop = case.hop(expected, f"cilium_lxc[{address}]")
    destination = case.destination
    assert destination is not None  # the path has this hop only with a destination
    agent = case.agent_endpoint(destination)
    question = lxcmap.lookup(expected.node, address)
    record = case.lens.read(question, lxcmap.parse)
    if case.connection.received:
        hop.observed("packets of this connection were delivered to the endpoint's policy program")
    if isinstance(agent, Unavailable):
        return hop.unknown(agent)
    if isinstance(record, Unavailable):
        return hop.unknown(record)
    hop.intent(
        f"endpoint {agent.id} of this node",
        {"endpointID": agent.id, "identity": agent.identity, "ifindex": agent.ifindex, "mac": agent.mac},
    )
    if isinstance(record, Absent):
        hop.programmed("no entry")
        return hop.stale(
            Contradiction(
                Reason.ENDPOINT_ENTRY_MISSING,
                f"the endpoint map of {expected.node} has no entry for {address}: packets go to the host instead",
                _DIED_BEFORE_DELIVERY,
                (question,),
            )
        )
    facts = {
        "endpointID": record.endpoint_id,
        "ifindex": record.ifindex,
        "mac": record.mac,
        "nodeMAC": record.node_mac,
        "identity": record.identity,
    }
    hop.programmed("entry of this pod", facts)
    wrong = _differences(record, agent)
    if not wrong:
        return hop.fine(f"endpoint {record.endpoint_id}, interface {record.ifindex}")
    delivery = frozenset({Rung.SENT}) if "endpoint id" in wrong[0] else frozenset({Rung.RECEIVED})
    return hop.stale(
        Contradiction(
            Reason.ENDPOINT_ENTRY_MISMATCH,
            f"the endpoint map of {expected.node} has for {address} {', '.join(wrong)}",
            delivery,
            (question,),
        )
    )


def _differences(record: lxcmap.EndpointRecord, agent: AgentEndpoint) -> list[str]:
    """What the datapath needs to deliver and is not as the agent set it up, as "X instead of Y"."""
    pairs = [
        ("endpoint id", record.endpoint_id, agent.id),
        ("ifindex", record.ifindex, agent.ifindex),
        ("MAC", record.mac, agent.mac),
        ("node MAC", record.node_mac, agent.host_mac),
    ]
    return [f"{name} {have} instead of {want}" for name, have, want in pairs if have != want]
