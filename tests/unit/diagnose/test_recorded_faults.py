"""Every fault recorded in the lab is named, and nothing else. Roles: S source node, D destination node."""

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from unit.recorded import names, recorded

HEALTHY = [
    "healthy-beside-ipsec-policies-for-other-packets",
    "healthy-cross-node",
    "healthy-from-host-cross-node",
    "healthy-from-host-same-node",
    "healthy-hairpin",
    "healthy-headless",
    "healthy-host-to-host",
    "healthy-observer-before-the-sources-program",
    "healthy-masquerade-by-another-rule",
    "healthy-outside",
    "healthy-outside-by-name",
    "healthy-policy-allows",
    "healthy-same-node",
    "healthy-service-cross-node",
    "healthy-service-same-node",
    "healthy-service-to-api-server",
    "healthy-to-host-cross-node",
    "healthy-to-host-same-node",
]

DEGRADED = {
    "ipcache-entry-missing": ("S", HopName.IPCACHE_LOOKUP, Reason.IPCACHE_ENTRY_MISSING),
    "ipcache-wrong-identity": ("S", HopName.IPCACHE_LOOKUP, Reason.WRONG_IDENTITY),
    "policy-map-lets-through": ("D", HopName.INGRESS_POLICY, Reason.POLICY_MAP_MISMATCH),
    "endpoint-wrong-ifindex": ("D", HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISMATCH),
    "to-overlay-attached-twice-source": ("S", HopName.OVERLAY_ENCAPSULATION, Reason.FOREIGN_PROGRAM),
    "reply-program-detached": ("D", HopName.REPLY_PROGRAM, Reason.PROGRAM_MISSING),
    "source-program-detached-direct": ("S", HopName.SOURCE_PROGRAM, Reason.PROGRAM_MISSING),
}

BROKEN = {
    "masquerade-skipped": ("S", HopName.MASQUERADE, Reason.NOT_MASQUERADED),
    "masquerade-rule-missing": ("S", HopName.MASQUERADE, Reason.NOT_MASQUERADED),
    "masquerade-as-another": ("S", HopName.MASQUERADE, Reason.WRONG_MASQUERADE_ADDRESS),
    "exit-without-default-route": ("S", HopName.CLUSTER_EXIT, Reason.EXIT_ROUTE_MISSING),
    "exit-through-a-dead-gateway": ("S", HopName.CLUSTER_EXIT, Reason.NEIGHBOR_UNREACHABLE),
    "exit-filtered": ("S", HopName.CLUSTER_EXIT, Reason.NETFILTER_DROPS),
    "exit-rejected": ("S", HopName.CLUSTER_EXIT, Reason.NETFILTER_DROPS),
    "exit-replies-filtered": ("S", HopName.CLUSTER_EXIT, Reason.NETFILTER_DROPS),
    "exit-not-forwarded": ("S", HopName.CLUSTER_EXIT, Reason.EXIT_ROUTE_MISSING),
    "outside-denied-by-cidr": ("S", HopName.EGRESS_POLICY, Reason.POLICY_DENIED),
    "outside-refuses": ("S", HopName.DESTINATION_RESPONSE, Reason.CONNECTION_REFUSED),
    "affinity-remembers-a-dead-backend": ("S", HopName.SERVICE_LOOKUP, Reason.BACKEND_STALE),
    "backend-slot-missing": ("S", HopName.SERVICE_LOOKUP, Reason.BACKEND_MISSING),
    "connection-refused": ("D", HopName.DESTINATION_RESPONSE, Reason.CONNECTION_REFUSED),
    "denial-not-enforced": ("D", HopName.INGRESS_POLICY, Reason.POLICY_NOT_ENFORCED),
    "denial-not-programmed": ("D", HopName.INGRESS_POLICY, Reason.POLICY_NOT_ENFORCED),
    "destination-address-on-its-node": ("D", HopName.ENDPOINT_LOOKUP, Reason.ADDRESS_CONFLICT),
    "destination-link-down": ("D", HopName.DESTINATION_INTERFACE, Reason.INTERFACE_DOWN),
    "destination-policy-program-missing": ("D", HopName.DESTINATION_PROGRAM, Reason.PROGRAM_MISSING),
    "egress-policy-default-deny": ("S", HopName.EGRESS_POLICY, Reason.POLICY_DENIED),
    "egress-policy-deny-service": ("S", HopName.EGRESS_POLICY, Reason.POLICY_DENIED),
    "ingress-policy-clusterwide-deny": ("D", HopName.INGRESS_POLICY, Reason.POLICY_DENIED),
    "ingress-policy-default-deny-same-node": ("S", HopName.INGRESS_POLICY, Reason.POLICY_DENIED),
    "policy-map-entry-missing": ("D", HopName.INGRESS_POLICY, Reason.POLICY_MAP_MISMATCH),
    "ingress-policy-default-deny": ("D", HopName.INGRESS_POLICY, Reason.POLICY_DENIED),
    "ingress-policy-deny": ("D", HopName.INGRESS_POLICY, Reason.POLICY_DENIED),
    "reply-endpoint-entry-missing": ("S", HopName.REPLY_DELIVERY, Reason.ENDPOINT_ENTRY_MISSING),
    "endpoint-entry-missing": ("D", HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISSING),
    "endpoint-entry-missing-same-node": ("S", HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISSING),
    "endpoint-wrong-mac": ("D", HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISMATCH),
    "from-host-endpoint-missing": ("D", HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISSING),
    "host-has-no-route-to-the-pods-of-another-node": ("S", HopName.NODE_ROUTING, Reason.NODE_ROUTE_MISSING),
    "ipsec-policy-blocks-what-arrives": ("D", HopName.OVERLAY_DECAPSULATION, Reason.XFRM_POLICY_DROPS),
    "reverse-path-rule-drops-replies-to-the-host": ("S", HopName.REPLY_DELIVERY, Reason.NETFILTER_DROPS),
    "frontend-missing": ("S", HopName.SERVICE_LOOKUP, Reason.FRONTEND_MISSING),
    "ipcache-wrong-tunnel-endpoint": ("S", HopName.IPCACHE_LOOKUP, Reason.WRONG_TUNNEL_ENDPOINT),
    "local-policy-elsewhere": ("S", HopName.SERVICE_LOOKUP, Reason.NO_READY_BACKENDS),
    "no-ready-backends": ("S", HopName.SERVICE_LOOKUP, Reason.NO_READY_BACKENDS),
    "overlay-tail-call-missing": ("D", HopName.OVERLAY_DECAPSULATION, Reason.PROGRAM_MISSING),
    "reply-tail-call-missing": ("D", HopName.REPLY_PROGRAM, Reason.PROGRAM_MISSING),
    "reply-ipcache-wrong-tunnel-endpoint": ("D", HopName.REPLY_IPCACHE, Reason.WRONG_TUNNEL_ENDPOINT),
    "reverse-nat-missing": ("S", HopName.REPLY_TRANSLATION, Reason.REVERSE_NAT_MISSING),
    "source-link-down": ("S", HopName.SOURCE_INTERFACE, Reason.INTERFACE_DOWN),
    "source-program-detached-service": ("S", HopName.SOURCE_PROGRAM, Reason.PROGRAM_MISSING),
    "to-host-refused": ("D", HopName.DESTINATION_RESPONSE, Reason.CONNECTION_REFUSED),
    "tunnel-device-down-destination": ("D", HopName.OVERLAY_DECAPSULATION, Reason.TUNNEL_DEVICE_DOWN),
    "tunnel-device-down-source": ("S", HopName.OVERLAY_ENCAPSULATION, Reason.TUNNEL_DEVICE_DOWN),
    "destination-pod-link-down": ("D", HopName.DESTINATION_INTERFACE, Reason.INTERFACE_DOWN),
    "endpoint-taken-for-the-host": ("D", HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISMATCH),
    "ipcache-skips-the-tunnel": ("S", HopName.IPCACHE_LOOKUP, Reason.WRONG_TUNNEL_ENDPOINT),
    "route-inside-the-destination": ("D", HopName.DESTINATION_INTERFACE, Reason.ROUTE_MISSING),
    "source-pod-wrong-mac": ("S", HopName.SOURCE_INTERFACE, Reason.MAC_MISMATCH),
    "endpoint-of-another-node": ("S", HopName.LOCALITY_LOOKUP, Reason.UNEXPECTED_LOCAL_ENDPOINT),
    "endpoint-wrong-id": ("D", HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISMATCH),
    "filter-drops-inside-the-destination": (
        "D",
        HopName.DESTINATION_INTERFACE,
        Reason.NETFILTER_DROPS,
    ),
    "filter-rejects-inside-the-destination": (
        "D",
        HopName.DESTINATION_INTERFACE,
        Reason.NETFILTER_DROPS,
    ),
    "from-overlay-attached-twice-destination": ("D", HopName.OVERLAY_DECAPSULATION, Reason.FOREIGN_PROGRAM),
    "source-program-attached-twice": ("S", HopName.SOURCE_PROGRAM, Reason.FOREIGN_PROGRAM),
    "from-overlay-detached-destination": ("D", HopName.OVERLAY_DECAPSULATION, Reason.PROGRAM_MISSING),
    "ipcache-tunnel-endpoint-unset": ("S", HopName.IPCACHE_LOOKUP, Reason.WRONG_TUNNEL_ENDPOINT),
    "mtu-too-small-for-a-large-body": ("D", HopName.OVERLAY_DECAPSULATION, Reason.NETFILTER_DROPS),
    "name-resolves-to-nobody": ("S", HopName.NAME_RESOLUTION, Reason.DNS_UNEXPECTED_ANSWER),
    "source-default-route-missing": ("S", HopName.SOURCE_INTERFACE, Reason.ROUTE_MISSING),
    "source-pod-link-down": ("S", HopName.SOURCE_INTERFACE, Reason.INTERFACE_DOWN),
    "source-policy-program-missing": ("S", HopName.REPLY_DELIVERY, Reason.PROGRAM_MISSING),
    "udp-8472-dropped-by-destination": ("D", HopName.OVERLAY_DECAPSULATION, Reason.NETFILTER_DROPS),
    "udp-8472-dropped-by-source": ("S", HopName.NODE_ROUTING, Reason.NETFILTER_DROPS),
    "wrong-backend-port": ("S", HopName.SERVICE_LOOKUP, Reason.BACKEND_MISMATCH),
}


# A denial was expected, and observed (or not: then the outcome is unknown).
DENIED = {
    "denied-as-expected": HopName.INGRESS_POLICY,
    "denied-as-expected-service": HopName.INGRESS_POLICY,
    "denied-by-default-as-expected": HopName.INGRESS_POLICY,
    "denied-on-egress-as-expected": HopName.EGRESS_POLICY,
}
UNWITNESSED = ["refused-is-not-denied"]

# Wrong while the request was in flight, and right at the second look: (hop that changed).
REPAIRED_MEANWHILE = {"wrong-tunnel-endpoint-repaired-meanwhile": HopName.IPCACHE_LOOKUP}

# Nothing is programmed wrong, but packets do not arrive: (after, before).
LOST = {"overlay-dropped-on-the-wire": (HopName.LOCALITY_LOOKUP, HopName.ENDPOINT_LOOKUP)}
LOST_OUTSIDE = "outside-firewall-by-name"


def test_every_recording_is_judged() -> None:
    assert [name for name in names() if "/" not in name] == sorted(
        [*HEALTHY, *DEGRADED, *BROKEN, *LOST, LOST_OUTSIDE, *DENIED, *UNWITNESSED, *REPAIRED_MEANWHILE]
    )


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_has_only_hops_that_are_ok(name: str) -> None:
    diagnosis = diagnose(recorded(name))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    assert diagnosis.divergence is None
    assert {finding.verdict for finding in diagnosis.findings} == {HopVerdict.OK}


@pytest.mark.parametrize(("name", "last"), DENIED.items())
def test_a_request_that_is_denied_as_expected_is_healthy_up_to_there(name: str, last: HopName) -> None:
    diagnosis = diagnose(recorded(name))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.HEALTHY, Reason.DENIED)
    assert diagnosis.findings[-1].hop is last
    assert {finding.verdict for finding in diagnosis.findings} == {HopVerdict.OK}


@pytest.mark.parametrize("name", UNWITNESSED)
def test_what_fails_without_a_witness_is_not_denied(name: str) -> None:
    diagnosis = diagnose(recorded(name))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.DENIAL_NOT_OBSERVED)
    assert diagnosis.divergence is None


@pytest.mark.parametrize(("name", "changed"), REPAIRED_MEANWHILE.items())
def test_a_failure_that_met_a_hop_as_it_was_before_proves_nothing(name: str, changed: HopName) -> None:
    diagnosis = diagnose(recorded(name))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)
    assert diagnosis.message.startswith(f"{changed} on ")


@pytest.mark.parametrize(
    ("name", "verdict", "expected"),
    [(name, ProbeVerdict.DEGRADED, expected) for name, expected in DEGRADED.items()]
    + [(name, ProbeVerdict.BROKEN, expected) for name, expected in BROKEN.items()],
)
def test_a_fault_is_named(name: str, verdict: ProbeVerdict, expected: tuple[str, HopName, Reason]) -> None:
    run = recorded(name)
    diagnosis = diagnose(run)
    assert diagnosis.verdict is verdict
    assert diagnosis.divergence is not None
    role, hop, reason = expected
    assert (diagnosis.divergence.hop, diagnosis.divergence.reason) == (hop, reason)
    on_source = diagnosis.divergence.node == run.plan.source.pod.node
    assert on_source == (role == "S")
    assert diagnosis.segment is None


# The application sent this response, or something else did.
ANSWERED = {
    "exit-rejected",
    "outside-refuses",
    "connection-refused",
    "destination-address-on-its-node",
    "to-host-refused",
    "wrong-backend-port",
    "filter-rejects-inside-the-destination",
}


@pytest.mark.parametrize("name", sorted(BROKEN.keys() - ANSWERED))
def test_the_application_is_not_named_for_a_fault_of_the_network(name: str) -> None:
    findings = {finding.hop: finding for finding in diagnose(recorded(name)).findings}
    response = findings.get(HopName.DESTINATION_RESPONSE)
    assert response is None or response.verdict is not HopVerdict.BROKEN


def test_the_hop_where_packets_were_lost_is_the_symptom() -> None:
    diagnosis = diagnose(recorded("source-program-detached-service"))
    assert diagnosis.symptom is not None
    assert diagnosis.symptom.hop is HopName.NAME_RESOLUTION


def test_what_is_lost_beyond_the_node_is_no_hop_of_the_cluster() -> None:
    diagnosis = diagnose(recorded(LOST_OUTSIDE))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.LOST_OUTSIDE_CLUSTER)
    assert diagnosis.segment is not None
    assert (diagnosis.segment.after, diagnosis.segment.before) == (
        HopName.CLUSTER_EXIT,
        HopName.DESTINATION_RESPONSE,
    )
    assert "the packets left the cluster at eth0 of node3 as 172.30.0.13:" in diagnosis.message


@pytest.mark.parametrize("name", LOST)
def test_what_is_lost_on_the_wire_is_a_segment_and_no_hop(name: str) -> None:
    diagnosis = diagnose(recorded(name))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.LOST_IN_TRANSIT)
    assert diagnosis.divergence is None
    assert diagnosis.segment is not None
    assert (diagnosis.segment.after, diagnosis.segment.before) == LOST[name]
