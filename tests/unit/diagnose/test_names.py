"""When a name does not resolve, the way to the name server is walked. Here the recorded Service stands for the DNS."""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.finding import Segment
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import Nameserver
from datapath_probe.sources.iproute2 import uptime
from datapath_probe.sources.maps import conntrack, lxcmap
from datapath_probe.sources.netfilter import iptables
from unit.diagnose.test_troubled import reporting
from unit.diagnose.told import ends
from unit.plans import with_backends
from unit.recorded import recorded

ABSENT = Answer(254, b"null", b"", at=0.0, duration_s=0.0)


def answering(run: PathRun, answers: Mapping[Fact, Reading]) -> PathRun:
    """The run with other answers, each heard twice."""
    readings = {**run.evidence.readings, **{q: (reading, reading) for q, reading in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def unresolved(name: str, total_s: float = 0.02, *, exit_code: int = 6) -> PathRun:
    """A recorded run through a Service, as if curl had got no address; the Service is also the name server."""
    run = recorded(name)
    reading, frontend = run.request.reading, run.plan.frontend
    assert isinstance(reading, Answer)
    assert frontend is not None
    report = json.loads(reading.stderr[reading.stderr.index(b"{") :])
    nothing = {"http_code": 0, "local_ip": "", "local_port": 0, "remote_ip": "", "remote_port": 0}
    times = {"time_namelookup": 0, "time_connect": 0, "time_starttransfer": 0, "time_total": total_s}
    said = json.dumps(report | nothing | times | {"errormsg": "Could not resolve host"}).encode()
    failed = replace(reading, exit_code=exit_code, stderr=said, stdout=b"")
    plan = replace(run.plan, nameserver=Nameserver(frontend, run.plan.backends))
    return replace(
        run, plan=plan, plan_after=plan, request=replace(run.request, reading=failed), second_look=True
    )


def queried(run: PathRun, *, refused: bool = False, sent: bool = True) -> PathRun:
    """What conntrack has of this run's queries: that they left, and whether an ICMP error came back."""
    node, client = run.plan.source.node.name, run.plan.source.ip
    clock = uptime.parse(run.evidence.latest(uptime.uptime(node)))
    assert isinstance(clock, float)
    now = int(clock) + 1
    value = struct.pack("<8xQQQIH2s2xBBIII", 0, 0, 0, 0, 0, b"\0\0", 0, 0, 0, now, now if refused else 0)
    entry = {"key": [], "value": [f"0x{octet:02x}" for octet in value]}
    found = Answer(0, json.dumps(entry).encode(), b"", at=0.0, duration_s=0.0)
    servers = [backend.ip for backend in run.plan.backends]
    facts = [conntrack.icmp_related(node, client, server) for server in servers]
    return answering(run, dict.fromkeys(facts, found if sent else ABSENT))


def reason(run: PathRun) -> Reason:
    """What is said of the name, be it as the symptom of what the request would meet too."""
    diagnosis = diagnose(run)
    assert diagnosis.verdict is ProbeVerdict.BROKEN
    said = diagnosis.symptom or diagnosis.divergence
    assert said is not None
    assert said.hop is HopName.NAME_RESOLUTION
    return said.reason


HEALTHY = "healthy-service-cross-node"
RULES = "*filter\n:FORWARD ACCEPT [0:0]\n[3:180] -A FORWARD -p {} -m {} --dport {} -j DROP\nCOMMIT\n"


def test_a_quick_no_over_a_way_that_is_as_it_should_be_means_that_there_is_no_such_name() -> None:
    assert reason(queried(unresolved(HEALTHY))) is Reason.DNS_NO_ADDRESS


def test_a_quick_no_is_no_answer_of_a_server_that_may_not_have_been_asked() -> None:
    """Another run asked it a moment before."""
    run = queried(unresolved(HEALTHY))
    just_before = replace(run, request=replace(run.request, started=run.request.started + 2.0))
    assert reason(just_before) is Reason.DNS_LOOKUP_FAILED
    assert "it is unknown whether" in diagnose(just_before).message


def test_no_answer_over_a_way_that_is_as_it_should_be_means_a_silent_server() -> None:
    assert reason(queried(unresolved(HEALTHY, total_s=10.0))) is Reason.DNS_TIMEOUT


def test_between_a_quick_no_and_no_answer_nothing_is_claimed() -> None:
    assert reason(queried(unresolved(HEALTHY, total_s=2.0))) is Reason.DNS_LOOKUP_FAILED


def test_an_icmp_error_means_that_nothing_listens() -> None:
    assert reason(queried(unresolved(HEALTHY), refused=True)) is Reason.DNS_PATH_BROKEN


def test_a_pod_that_asked_somebody_else_is_not_told_of_the_clusters_dns() -> None:
    assert reason(queried(unresolved(HEALTHY), sent=False)) is Reason.DNS_LOOKUP_FAILED


@pytest.mark.parametrize("policy", ["Default", "None", "ClusterFirst"])
def test_without_a_known_name_server_the_way_is_not_walked(policy: str) -> None:
    run = unresolved(HEALTHY)
    pod = replace(run.plan.source.pod, dns_policy=policy)
    plan = replace(run.plan, nameserver=None, source=replace(run.plan.source, pod=pod))
    assert reason(replace(run, plan=plan, plan_after=plan)) is Reason.DNS_LOOKUP_FAILED


def with_far_server_unknown() -> PathRun:
    """A name server on the other node, which has no entry for it in its endpoint map."""
    run = queried(unresolved(HEALTHY))
    far = next(one for one in run.plan.backends if one.pod_facts and one.pod_facts.node.name == ends(run)[1])
    return answering(run, {lxcmap.lookup(ends(run)[1], far.ip): ABSENT})


def test_what_the_request_does_not_meet_is_named_in_the_message() -> None:
    run = with_far_server_unknown()
    near = tuple(
        one for one in run.plan.backends if one.pod_facts and one.pod_facts.node.name != ends(run)[1]
    )
    plan = with_backends(run.plan, *near)
    diagnosis = diagnose(replace(run, plan=plan, plan_after=plan))
    assert (diagnosis.reason, diagnosis.symptom) == (Reason.DNS_PATH_BROKEN, None)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.NAME_RESOLUTION
    assert "endpoint-lookup" in diagnosis.message


def test_what_the_request_would_meet_next_is_what_is_broken_and_the_name_its_symptom() -> None:
    diagnosis = diagnose(with_far_server_unknown())
    assert diagnosis.divergence is not None
    assert diagnosis.symptom is not None
    assert (diagnosis.divergence.hop, diagnosis.symptom.hop) == (
        HopName.ENDPOINT_LOOKUP,
        HopName.NAME_RESOLUTION,
    )
    broken = [finding.hop for finding in diagnosis.findings if finding.verdict is HopVerdict.BROKEN]
    assert broken == [HopName.NAME_RESOLUTION, HopName.ENDPOINT_LOOKUP]


def test_a_rule_inside_the_source_that_drops_queries_is_named_there() -> None:
    run = queried(unresolved(HEALTHY, total_s=10.0))
    assert run.plan.nameserver is not None
    port = replace(run.plan.nameserver.frontend.port, protocol="UDP")
    nameserver = replace(run.plan.nameserver, frontend=replace(run.plan.nameserver.frontend, port=port))
    run = replace(run, plan=replace(run.plan, nameserver=nameserver))
    rules = RULES.format("udp", "udp", port.port).replace("FORWARD", "OUTPUT")
    inside = next(
        fact for fact in facts_of(run) if fact == iptables.fact(ends(run)[0], str(fact.get("namespace")))
    )
    diagnosis = diagnose(answering(run, {inside: Answer(0, rules.encode(), b"", at=0.0, duration_s=0.0)}))
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (
        HopName.SOURCE_INTERFACE,
        Reason.NETFILTER_DROPS,
    )


def test_a_service_of_name_servers_without_endpoints_is_told_as_such() -> None:
    assert reason(unresolved("no-ready-backends")) is Reason.DNS_NO_READY_ENDPOINTS


def test_what_is_missing_on_the_way_proves_nothing() -> None:
    """Not even that the query came out of the pod: the name is where it shows, and that is all that is known."""
    run = queried(unresolved(HEALTHY))
    diagnosis = diagnose(replace(run, evidence=Evidence()))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.DNS_LOOKUP_FAILED)
    assert diagnosis.divergence is None
    assert diagnosis.segment == Segment(HopName.IPAM, HopName.SERVICE_LOOKUP, run.plan.source.node.name)
    assert diagnosis.symptom is not None
    assert diagnosis.symptom.hop is HopName.NAME_RESOLUTION


@pytest.mark.parametrize(("protocol", "is_named"), [("udp", True), ("tcp", False)])
def test_a_filter_that_drops_queries_is_found_on_the_way_to_the_name_server(
    protocol: str, is_named: bool
) -> None:
    """As a query is: over UDP, from whichever port."""
    run = queried(unresolved("native/healthy-service@1.18.5", total_s=10.0))
    nameserver = run.plan.nameserver
    assert nameserver is not None
    port = replace(nameserver.frontend.port, protocol="UDP")
    plan = replace(run.plan, nameserver=replace(nameserver, frontend=replace(nameserver.frontend, port=port)))
    rules = RULES.format(protocol, protocol, nameserver.backends[0].port)
    told = Answer(0, rules.encode(), b"", at=0.0, duration_s=0.0)
    fact = iptables.fact(run.plan.source.node.name)
    diagnosis = diagnose(answering(replace(run, plan=plan, plan_after=plan), {fact: told}))
    assert (diagnosis.reason is Reason.DNS_PATH_BROKEN) is is_named
    assert ("--dport" in diagnosis.message) is is_named


@pytest.mark.parametrize("lookup_s", [1.2, 0.02])
def test_a_name_server_that_can_not_be_reached_is_told_where_another_had_to_be_asked(lookup_s: float) -> None:
    run = recorded(HEALTHY)
    assert run.plan.frontend is not None
    plan = replace(run.plan, nameserver=Nameserver(run.plan.frontend, run.plan.backends))
    chosen = diagnose(run).backend
    other = next(backend for backend in run.plan.backends if backend != chosen)
    assert other.pod_facts is not None
    run = reporting(replace(run, plan=plan, plan_after=plan), time_namelookup=lookup_s)
    diagnosis = diagnose(answering(run, {lxcmap.lookup(other.pod_facts.node.name, other.ip): ABSENT}))
    assert (diagnosis.reason is Reason.DNS_PATH_BROKEN) is (lookup_s > 1)
    assert diagnosis.verdict is (ProbeVerdict.DEGRADED if lookup_s > 1 else ProbeVerdict.HEALTHY)
