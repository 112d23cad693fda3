"""If a name does not resolve, the path to the name server is judged. Here, the recorded Service serves as the DNS."""

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
from unit.diagnose.altered_runs import ends
from unit.diagnose.test_unexpected_answers import reporting
from unit.plans import with_backends
from unit.recorded import recorded

ABSENT = Answer(254, b"null", b"", at=0.0, duration_s=0.0)


def answering(run: PathRun, answers: Mapping[Fact, Reading]) -> PathRun:
    """The run with other answers, each read twice."""
    readings = {**run.evidence.readings, **{q: (reading, reading) for q, reading in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def unresolved(name: str, total_s: float = 0.02, *, exit_code: int = 6) -> PathRun:
    """A recorded run through a Service, as if curl got no address; the Service is also the name server."""
    run = recorded(name)
    reading, frontend = run.request.reading, run.plan.frontend
    assert isinstance(reading, Answer)
    assert frontend is not None
    report = json.loads(reading.stderr[reading.stderr.index(b"{") :])
    nothing = {"http_code": 0, "local_ip": "", "local_port": 0, "remote_ip": "", "remote_port": 0}
    times = {"time_namelookup": 0, "time_connect": 0, "time_starttransfer": 0, "time_total": total_s}
    report_ = json.dumps(report | nothing | times | {"errormsg": "Could not resolve host"}).encode()
    failed = replace(reading, exit_code=exit_code, stderr=report_, stdout=b"")
    timeout_s = max(total_s, run.plan.request.timeout_s)  # otherwise curl had ended before
    sent = replace(run.plan.request, timeout_s=timeout_s)
    plan = replace(run.plan, nameserver=Nameserver(frontend, run.plan.backends), request=sent)
    return replace(
        run, plan=plan, plan_after=plan, request=replace(run.request, reading=failed), second_look=True
    )


def queried(run: PathRun, *, refused: bool = False, sent: bool = True) -> PathRun:
    """The run with conntrack entries of its queries: that they were sent, and whether an ICMP error arrived."""
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
    """The reason of the name resolution, as the divergence or as its symptom."""
    diagnosis = diagnose(run)
    assert diagnosis.verdict is ProbeVerdict.BROKEN
    named = diagnosis.symptom or diagnosis.divergence
    assert named is not None
    assert named.hop is HopName.NAME_RESOLUTION
    return named.reason


HEALTHY = "healthy-service-cross-node"
RULES = "*filter\n:FORWARD ACCEPT [0:0]\n[3:180] -A FORWARD -p {} -m {} --dport {} -j DROP\nCOMMIT\n"


def test_a_quick_failure_over_a_correct_path_means_that_there_is_no_such_name() -> None:
    assert reason(queried(unresolved(HEALTHY))) is Reason.DNS_NO_ADDRESS


def test_a_quick_failure_is_no_answer_of_a_server_that_may_not_have_got_a_query() -> None:
    """Another run sent a query a moment before."""
    run = queried(unresolved(HEALTHY))
    just_before = replace(run, request=replace(run.request, started=run.request.started + 2.0))
    assert reason(just_before) is Reason.DNS_LOOKUP_FAILED
    assert "it is unknown whether" in diagnose(just_before).message


def test_no_answer_over_a_correct_path_means_a_server_that_does_not_answer() -> None:
    assert reason(queried(unresolved(HEALTHY, total_s=10.0))) is Reason.DNS_TIMEOUT


def test_between_a_quick_failure_and_a_timeout_the_reason_is_unspecific() -> None:
    assert reason(queried(unresolved(HEALTHY, total_s=2.0))) is Reason.DNS_LOOKUP_FAILED


def test_an_icmp_error_means_that_nothing_listens() -> None:
    assert reason(queried(unresolved(HEALTHY), refused=True)) is Reason.DNS_PATH_BROKEN


def test_without_a_query_of_this_run_the_reason_is_unspecific() -> None:
    assert reason(queried(unresolved(HEALTHY), sent=False)) is Reason.DNS_LOOKUP_FAILED


@pytest.mark.parametrize("policy", ["Default", "None", "ClusterFirst"])
def test_without_a_known_name_server_no_path_is_judged(policy: str) -> None:
    run = unresolved(HEALTHY)
    pod = replace(run.plan.source.pod, dns_policy=policy)
    plan = replace(run.plan, nameserver=None, source=replace(run.plan.source, pod=pod))
    assert reason(replace(run, plan=plan, plan_after=plan)) is Reason.DNS_LOOKUP_FAILED


def with_far_server_unknown() -> PathRun:
    """A name server on the other node, which has no entry for it in its endpoint map."""
    run = queried(unresolved(HEALTHY))
    far = next(one for one in run.plan.backends if one.pod_facts and one.pod_facts.node.name == ends(run)[1])
    return answering(run, {lxcmap.lookup(ends(run)[1], far.ip): ABSENT})


def test_a_fault_that_the_request_does_not_meet_is_in_the_message() -> None:
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


def test_a_fault_that_the_request_meets_too_is_the_cause_and_the_name_its_symptom() -> None:
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


def test_name_servers_without_endpoints_are_reported() -> None:
    assert reason(unresolved("no-ready-backends")) is Reason.DNS_NO_READY_ENDPOINTS


def test_missing_evidence_on_the_path_proves_nothing() -> None:
    """Not even that the query left the pod: only the symptom is known."""
    run = queried(unresolved(HEALTHY))
    diagnosis = diagnose(replace(run, evidence=Evidence()))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.DNS_LOOKUP_FAILED)
    assert diagnosis.divergence is None
    assert diagnosis.segment == Segment(HopName.IPAM, HopName.SERVICE_LOOKUP, run.plan.source.node.name)
    assert diagnosis.symptom is not None
    assert diagnosis.symptom.hop is HopName.NAME_RESOLUTION


@pytest.mark.parametrize(("protocol", "is_named"), [("udp", True), ("tcp", False)])
def test_a_filter_that_drops_queries_to_the_name_server_is_found(protocol: str, is_named: bool) -> None:
    """A query is sent over UDP, from any port."""
    run = queried(unresolved("native/healthy-service@1.18.5", total_s=10.0))
    nameserver = run.plan.nameserver
    assert nameserver is not None
    port = replace(nameserver.frontend.port, protocol="UDP")
    plan = replace(run.plan, nameserver=replace(nameserver, frontend=replace(nameserver.frontend, port=port)))
    rules = RULES.format(protocol, protocol, nameserver.backends[0].port)
    rules_ = Answer(0, rules.encode(), b"", at=0.0, duration_s=0.0)
    fact = iptables.fact(run.plan.source.node.name)
    diagnosis = diagnose(answering(replace(run, plan=plan, plan_after=plan), {fact: rules_}))
    assert (diagnosis.reason is Reason.DNS_PATH_BROKEN) is is_named
    assert ("--dport" in diagnosis.message) is is_named


@pytest.mark.parametrize("lookup_s", [1.2, 0.02])
def test_a_name_server_that_can_not_be_reached_is_reported_if_resolution_is_slow(lookup_s: float) -> None:
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
