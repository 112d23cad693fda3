"""A node that has a pod's address on a device of its own: its stack answers in the pod's place."""

import json
from dataclasses import replace

import pytest

from datapath_probe.addresses import IpAddress
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.maps import lxcmap
from unit.diagnose.netstack.test_host_path import failed
from unit.diagnose.test_answered_by_another import refused
from unit.diagnose.test_node_stack import answered, destination, found
from unit.recorded import recorded

LOOKUP, DELIVERY = HopName.ENDPOINT_LOOKUP, HopName.REPLY_DELIVERY
CONFLICT = "destination-address-on-its-node"
_FLAGS = 8  # of the endpoint map's entry


def holding(run: PathRun, node: str, ip: IpAddress, *devices: str) -> PathRun:
    """The run with this address on these devices of a node; without devices, as a local route alone."""
    route = [
        {"type": "local", "dst": str(ip), "dev": "lo", "prefsrc": str(ip), "flags": [], "cache": ["local"]}
    ]
    shown = [{"ifname": device, "addr_info": [{"local": str(ip)}]} for device in devices]
    return answered(
        run, {links.route_to(node, ip): json.dumps(route), links.holders(node, ip): json.dumps(shown)}
    )


def held(name: str, *devices: str) -> PathRun:
    run = recorded(name)
    pod = destination(run)
    return replace(holding(run, pod.node.name, pod.ip, *devices), second_look=True)


def test_a_refusal_by_the_nodes_own_stack_names_the_device() -> None:
    diagnosis = diagnose(recorded(CONFLICT))
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.reason is Reason.ADDRESS_CONFLICT
    assert "on its own device cilium_host" in diagnosis.divergence.message
    assert diagnosis.symptom is not None
    assert (diagnosis.symptom.hop, diagnosis.symptom.reason) == (
        HopName.DESTINATION_RESPONSE,
        Reason.CONNECTION_REFUSED,
    )
    assert "no process listens" not in diagnosis.symptom.message


@pytest.mark.parametrize("name", ["healthy-cross-node", "healthy-same-node", "kpr/healthy-cross-node@1.18.5"])
def test_until_the_endpoint_map_follows_it_is_a_latent_fault(name: str) -> None:
    diagnosis = diagnose(held(name, "dummy0"))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.ADDRESS_CONFLICT)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is LOOKUP
    assert "dummy0" in diagnosis.divergence.message
    assert found(held(name, "dummy0"), LOOKUP).defects == ()


def test_a_local_route_without_a_device_counts_too() -> None:
    assert "has a local route to" in found(held("healthy-cross-node"), LOOKUP).message


def test_where_the_stack_delivers_the_local_route_wins() -> None:
    finding = found(held("native/healthy-cross-node@1.18.5", "eth0"), LOOKUP)
    assert (finding.reason, [str(d) for d in finding.defects]) == (
        Reason.ADDRESS_CONFLICT,
        ["packets are passed to the node's own stack"],
    )


def test_from_the_nodes_own_network_the_stack_answers_at_once() -> None:
    assert found(held("healthy-from-host-same-node", "eth0"), LOOKUP).defects
    assert not found(held("healthy-from-host-cross-node", "eth0"), LOOKUP).defects


def test_the_sources_address_on_its_node_is_found_for_replies() -> None:
    run = recorded("healthy-cross-node")
    run = replace(holding(run, run.plan.source.node.name, run.plan.source.ip, "eth0"), second_look=True)
    finding = found(run, DELIVERY)
    assert (finding.verdict, finding.reason) == (HopVerdict.STALE, Reason.ADDRESS_CONFLICT)


def test_the_address_on_another_node_does_not_matter() -> None:
    run = recorded("healthy-cross-node")
    run = replace(holding(run, "node1", destination(run).ip, "eth0"), second_look=True)
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY


def with_entry_of_the_host(run: PathRun, *, first_only: bool) -> PathRun:
    """The run with the host flag in both readings of the destination's entry, or only in the first."""
    fact = lxcmap.lookup(destination(run).node.name, destination(run).ip)
    host = run.evidence.latest(fact)
    assert isinstance(host, Answer)
    shown = json.loads(host.stdout)
    assert shown["value"][_FLAGS] == "0x01"
    shown["value"][_FLAGS] = "0x00"
    of_pod = replace(host, stdout=json.dumps(shown).encode())
    readings: dict[Fact, tuple[Reading, ...]] = dict(run.evidence)
    readings[fact] = (host, of_pod if first_only else host)
    return replace(run, evidence=Evidence(readings))


@pytest.mark.parametrize("first_only", [False, True])
def test_once_the_map_has_followed_a_failure_is_explained(first_only: bool) -> None:
    run = refused(recorded("endpoint-taken-for-the-host"))
    pod = destination(run)
    run = holding(with_entry_of_the_host(run, first_only=first_only), pod.node.name, pod.ip, "cilium_host")
    diagnosis = diagnose(run)
    assert diagnosis.rule == "root_cause"
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (LOOKUP, Reason.ADDRESS_CONFLICT)


def test_devices_are_read_only_if_the_address_is_local() -> None:
    run = recorded("healthy-beside-ipsec-policies-for-other-packets")
    assert not [fact for fact, _ in run.evidence if fact.kind is FactKind.LOCAL_ADDRESS]


@pytest.mark.parametrize(
    ("run", "explained"),
    [
        (failed("healthy-from-host-cross-node"), True),
        (recorded("connection-refused"), False),  # conntrack has packets to the pod
    ],
)
def test_a_rejection_is_explained_without_a_reading_of_the_map_unless_packets_reached_the_pod(
    run: PathRun, explained: bool
) -> None:
    pod = destination(run)
    finding = found(holding(run, pod.node.name, pod.ip, "cilium_host"), LOOKUP)
    assert finding.reason is Reason.ADDRESS_CONFLICT
    assert bool(finding.defects) is explained
