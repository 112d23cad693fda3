"""Runs over IPv6, recorded in a dual-stack cluster whose tunnel has IPv4: the maps, tools and programs of IPv6."""

import re
from dataclasses import replace

import pytest

from datapath_probe.addresses import IpFamily
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources.maps.map_keys import MAP_KEYS, map_of
from unit.diagnose.test_name_resolution import answering
from unit.recorded import recorded
from unit.sources.golden import printed

POD, NEAR, SERVICE = (
    f"dual-stack/healthy-{name}-ipv6@1.18.5" for name in ("cross-node", "same-node", "service-cross-node")
)
ABSENT = printed("null", 254)


def facts(run: PathRun, kind: FactKind) -> list[Fact]:
    return [fact for fact in run.evidence.readings if fact.kind is kind]


@pytest.mark.parametrize(("name", "hops"), [(POD, 21), (NEAR, 14), (SERVICE, 25)])
def test_every_hop_of_a_healthy_path_is_judged(name: str, hops: int) -> None:
    run = recorded(name)
    diagnosis = diagnose(run)
    assert (run.plan.family, diagnosis.verdict) == (IpFamily.IPV6, ProbeVerdict.HEALTHY)
    assert [finding.verdict for finding in diagnosis.findings] == [HopVerdict.OK] * hops


def test_no_map_of_ipv4_is_read() -> None:
    read = {map_of(fact) for fact in recorded(SERVICE).evidence.readings if fact.kind in MAP_KEYS}
    assert {"cilium_ct6_global", "cilium_lb6_services_v2", "cilium_lb6_backends_v3"} <= read
    assert "cilium_lb6_reverse_nat" in read
    assert not [name for name in read if re.search(r"(ct|lb|any|snat_v)4", name)]


def test_the_tunnel_between_nodes_has_ipv4() -> None:
    routed = {fact.text("destination") for fact in facts(recorded(POD), FactKind.ROUTE)}
    assert {"172.30.0.11", "172.30.0.12"} <= routed


@pytest.mark.parametrize(
    ("kind", "hop", "reason"),
    [
        (FactKind.REVERSE_NAT_ENTRY, HopName.REPLY_TRANSLATION, Reason.REVERSE_NAT_MISSING),
        (FactKind.SERVICE_BACKEND, HopName.SERVICE_LOOKUP, Reason.BACKEND_MISSING),
    ],
)
def test_a_missing_entry_of_ipv6_is_found(kind: FactKind, hop: HopName, reason: Reason) -> None:
    run = recorded(SERVICE)
    again = {fact: readings[-1] for fact, readings in run.evidence.readings.items()}
    diagnosis = diagnose(answering(run, {**again, facts(run, kind)[0]: ABSENT}))
    found = next(finding for finding in diagnosis.findings if finding.hop is hop)
    assert (found.verdict, found.reason) == (HopVerdict.STALE, reason)


def test_a_failed_request_is_searched_for_rules_of_ip6tables() -> None:
    run = recorded(POD)
    failed = Answer(28, b"", b'{"errormsg": "timed out"}', 0.0, 0.0)
    asked = facts_of(replace(run, request=replace(run.request, reading=failed)))
    of_rules = [fact for fact in asked if fact.kind is FactKind.IPTABLES_RULES]
    assert {fact.get("family") for fact in of_rules} == {None, 6}  # of the tunnel, and of the pods
    calls = [fact for fact in asked if fact.kind is FactKind.ENDPOINT_TAIL_CALL]
    assert {fact.number("index") for fact in calls} == {10, 33, 27, 32, 12}
