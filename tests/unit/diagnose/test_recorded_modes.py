"""Runs recorded in modes other than VXLAN with per-packet load balancing: healthy ones are Healthy, faults are named.

Expected by folder and name; roles: S source node, D destination node.
"""

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from unit.recorded import names, recorded

RECORDED = [name for name in names() if "/" in name]
HEALTHY = [name for name in RECORDED if "/healthy-" in name]

BROKEN, DEGRADED = ProbeVerdict.BROKEN, ProbeVerdict.DEGRADED
EXPECTED = {
    "kpr/backends-missing@1.18.5": (BROKEN, "S", HopName.SERVICE_LOOKUP, Reason.BACKEND_MISSING),
    "kpr/slots-missing@1.18.5": (BROKEN, "S", HopName.SERVICE_LOOKUP, Reason.BACKEND_MISSING),
    "kpr/frontend-missing@1.18.5": (BROKEN, "S", HopName.SERVICE_LOOKUP, Reason.FRONTEND_MISSING),
    "kpr/no-ready-backends@1.18.5": (BROKEN, "S", HopName.SERVICE_LOOKUP, Reason.NO_READY_BACKENDS),
    "kpr/one-backend-wrong@1.18.5": (DEGRADED, "S", HopName.SERVICE_LOOKUP, Reason.BACKEND_MISMATCH),
    "kpr/endpoint-entry-missing@1.18.5": (
        BROKEN,
        "D",
        HopName.ENDPOINT_LOOKUP,
        Reason.ENDPOINT_ENTRY_MISSING,
    ),
    "kpr/reply-endpoint-entry-missing@1.18.5": (
        BROKEN,
        "S",
        HopName.REPLY_DELIVERY,
        Reason.ENDPOINT_ENTRY_MISSING,
    ),
    "kpr/ipcache-wrong-tunnel-endpoint@1.18.5": (
        BROKEN,
        "S",
        HopName.IPCACHE_LOOKUP,
        Reason.WRONG_TUNNEL_ENDPOINT,
    ),
    "kpr/unexpected-local-endpoint@1.18.5": (
        BROKEN,
        "S",
        HopName.LOCALITY_LOOKUP,
        Reason.UNEXPECTED_LOCAL_ENDPOINT,
    ),
    "kpr/sockets-attached-to-another-cgroup@1.18.5": (
        BROKEN,
        "S",
        HopName.SERVICE_TRANSLATION,
        Reason.PROGRAM_MISSING,
    ),
    "kpr/to-overlay-attached-twice-source@1.18.5": (
        BROKEN,
        "S",
        HopName.OVERLAY_ENCAPSULATION,
        Reason.FOREIGN_PROGRAM,
    ),
    # sockets select the backend: packets show it, even those that were dropped
    "kpr/egress-policy-default-deny@1.18.5": (BROKEN, "S", HopName.EGRESS_POLICY, Reason.POLICY_DENIED),
    "kpr/name-resolves-to-nobody@1.18.5": (
        BROKEN,
        "S",
        HopName.NAME_RESOLUTION,
        Reason.DNS_UNEXPECTED_ANSWER,
    ),
    "kpr/backend-wrong-address@1.18.5": (BROKEN, "S", HopName.SERVICE_LOOKUP, Reason.BACKEND_MISMATCH),
    # if no packet left the pod, any backend of the Service may have been selected
    "kpr/route-inside-the-source@1.18.5": (BROKEN, "S", HopName.SOURCE_INTERFACE, Reason.ROUTE_MISSING),
    "kpr/filter-drops-inside-the-source@1.18.5": (
        BROKEN,
        "S",
        HopName.SOURCE_INTERFACE,
        Reason.NETFILTER_DROPS,
    ),
    # programs without load balancing have fewer tail calls
    "kpr/reply-neighbour-wrong@1.18.5": (BROKEN, "D", HopName.REPLY_ROUTING, Reason.NEIGHBOR_MAC_MISMATCH),
    "kpr/reply-tail-call-missing@1.18.5": (BROKEN, "D", HopName.REPLY_PROGRAM, Reason.PROGRAM_MISSING),
    "native/node-route-missing@1.18.5": (BROKEN, "S", HopName.NODE_ROUTING, Reason.NODE_ROUTE_MISSING),
    "native/node-route-wrong@1.18.5": (BROKEN, "S", HopName.NODE_ROUTING, Reason.NODE_ROUTE_MISSING),
    "native/node-route-blackhole@1.18.5": (BROKEN, "S", HopName.NODE_ROUTING, Reason.NODE_ROUTE_MISSING),
    "native/reply-route-missing@1.18.5": (BROKEN, "D", HopName.REPLY_ROUTING, Reason.NODE_ROUTE_MISSING),
    "native/reply-route-wrong@1.18.5": (BROKEN, "D", HopName.REPLY_ROUTING, Reason.NODE_ROUTE_MISSING),
    "native/cil-from-host-detached@1.18.5": (
        BROKEN,
        "D",
        HopName.DESTINATION_PROGRAM,
        Reason.PROGRAM_MISSING,
    ),
    "native/cil-from-host-detached-source@1.18.5": (
        BROKEN,
        "S",
        HopName.REPLY_DELIVERY,
        Reason.PROGRAM_MISSING,
    ),
    "native/endpoint-taken-for-the-host@1.18.5": (
        BROKEN,
        "D",
        HopName.ENDPOINT_LOOKUP,
        Reason.ENDPOINT_ENTRY_MISMATCH,
    ),
    "native/route-inside-the-destination@1.18.5": (
        BROKEN,
        "D",
        HopName.DESTINATION_INTERFACE,
        Reason.ROUTE_MISSING,
    ),
    "native/reply-ipcache-wrong-identity@1.18.5": (
        DEGRADED,
        "D",
        HopName.SOURCE_IDENTITY,
        Reason.WRONG_IDENTITY,
    ),
    "native/reply-ipcache-entry-missing@1.18.5": (
        DEGRADED,
        "D",
        HopName.SOURCE_IDENTITY,
        Reason.IPCACHE_ENTRY_MISSING,
    ),
    "native/endpoint-entry-missing-same-node@1.18.5": (
        BROKEN,
        "S",
        HopName.ENDPOINT_LOOKUP,
        Reason.ENDPOINT_ENTRY_MISSING,
    ),
    "native/name-server-wrong@1.18.5": (BROKEN, "S", HopName.NAME_RESOLUTION, Reason.DNS_LOOKUP_FAILED),
    "native/slots-missing@1.18.5": (BROKEN, "S", HopName.SERVICE_LOOKUP, Reason.BACKEND_MISSING),
    # direct routes follow the pod CIDRs: the wrong node-routing is a consequence
    "native/address-outside-pod-cidr@1.18.5": (BROKEN, "S", HopName.IPAM, Reason.ADDRESS_OUTSIDE_POD_CIDR),
    "endpoint-routes/endpoint-route-missing-near@1.18.5": (
        BROKEN,
        "S",
        HopName.ENDPOINT_LOOKUP,
        Reason.ENDPOINT_ROUTE_MISSING,
    ),
    "endpoint-routes/endpoint-route-wrong@1.18.5": (
        BROKEN,
        "D",
        HopName.ENDPOINT_LOOKUP,
        Reason.ENDPOINT_ROUTE_MISSING,
    ),
    # the stack delivers by its route and ignores the endpoint map
    "endpoint-routes/endpoint-entry-missing@1.18.5": (
        DEGRADED,
        "D",
        HopName.ENDPOINT_LOOKUP,
        Reason.ENDPOINT_ENTRY_MISSING,
    ),
    "endpoint-routes/endpoint-wrong-mac@1.18.5": (
        DEGRADED,
        "D",
        HopName.ENDPOINT_LOOKUP,
        Reason.ENDPOINT_ENTRY_MISMATCH,
    ),
    # its route is removed with its device, and the device is reported
    "endpoint-routes/destination-wrong-peer@1.18.5": (
        DEGRADED,
        "D",
        HopName.DESTINATION_INTERFACE,
        Reason.INTERFACE_MISMATCH,
    ),
    "endpoint-routes/destination-link-down-same-node@1.18.5": (
        BROKEN,
        "S",
        HopName.DESTINATION_INTERFACE,
        Reason.INTERFACE_DOWN,
    ),
    "endpoint-routes/destination-tail-call-missing@1.18.5": (
        BROKEN,
        "D",
        HopName.DESTINATION_PROGRAM,
        Reason.PROGRAM_MISSING,
    ),
    "endpoint-routes/to-container-detached@1.18.5": (
        DEGRADED,
        "D",
        HopName.DESTINATION_PROGRAM,
        Reason.PROGRAM_MISSING,
    ),
    "endpoint-routes/ipcache-wrong-tunnel-endpoint@1.18.5": (
        BROKEN,
        "S",
        HopName.IPCACHE_LOOKUP,
        Reason.WRONG_TUNNEL_ENDPOINT,
    ),
}


def test_every_recording_is_judged() -> None:
    assert sorted(RECORDED) == sorted([*HEALTHY, *EXPECTED])


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_has_only_hops_that_are_ok(name: str) -> None:
    diagnosis = diagnose(recorded(name))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY, diagnosis.message
    assert {finding.verdict for finding in diagnosis.findings} == {HopVerdict.OK}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_fault_is_named(name: str) -> None:
    verdict, role, hop, reason = EXPECTED[name]
    run = recorded(name)
    diagnosis = diagnose(run)
    assert diagnosis.verdict is verdict, diagnosis.message
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.divergence.reason) == (hop, reason)
    assert (diagnosis.divergence.node == run.plan.source.pod.node) == (role == "S")
