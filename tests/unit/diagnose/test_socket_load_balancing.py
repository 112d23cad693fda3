"""Socket load-balancing without its program: the program is the cause, also of a name that did not resolve."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.addresses import IpFamily
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Absent, Answer, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.path import expected_path
from datapath_probe.plan.plan import HeadlessTarget, Nameserver
from datapath_probe.sources.bpf import socket_lb
from datapath_probe.sources.bpf.socket_lb import CgroupLink
from datapath_probe.sources.maps import conntrack
from unit.recorded import recorded

CONNECT, PROGRAMS = socket_lb.connect(IpFamily.IPV4), socket_lb.all_programs(IpFamily.IPV4)
GONE = {"error": "bpf obj get (/sys/fs/bpf/cilium/…): No such file or directory"}
NO_PROGRAM = Answer(255, b"", b"", 0.0, 0.0)


def link(cgroup: int) -> Answer:
    shown = {
        "id": 9,
        "type": "cgroup",
        "prog_id": 7,
        "cgroup_id": cgroup,
        "attach_type": "cgroup_inet4_connect",
    }
    return Answer(0, json.dumps(shown).encode(), b"", 0.0, 0.0)


def printed(shown: object, exit_code: int = 0) -> Answer:
    return Answer(exit_code, json.dumps(shown).encode(), b"", 0.0, 0.0)


def answering(run: PathRun, answers: Mapping[Fact, Answer]) -> PathRun:
    """The run with other answers, each read twice."""
    readings = {**run.evidence.readings, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def unresolved() -> PathRun:
    """curl got no address, and no other fault is known."""
    run = recorded("kpr/healthy-service@1.18.5")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    report = json.loads(reading.stderr[reading.stderr.index(b"{") :])
    nothing = {"http_code": 0, "local_ip": "", "local_port": 0, "remote_ip": "", "remote_port": 0}
    times = {"time_namelookup": 0, "time_connect": 0, "time_starttransfer": 0, "time_total": 10.0}
    said = json.dumps(report | nothing | times | {"errormsg": "Could not resolve host"}).encode()
    failed = replace(reading, exit_code=6, stderr=said, stdout=b"")
    absent = {
        q: Answer(254, b"null", b"", 0.0, 0.0) for q, _ in run.evidence if q.kind is FactKind.CONNTRACK_ENTRY
    }
    plan = replace(
        run.plan, request=replace(run.plan.request, timeout_s=10.0)
    )  # otherwise curl had ended before
    return answering(replace(run, plan=plan, request=replace(run.request, reading=failed)), absent)


@pytest.mark.parametrize(
    ("of_link", "of_program"),
    [(link(0), None), (printed(GONE, 255), NO_PROGRAM)],
)
def test_a_detached_program_is_the_cause_and_the_name_its_symptom(
    of_link: Answer, of_program: Answer | None
) -> None:
    run = unresolved()
    node = run.plan.source.node.name
    assert diagnose(run).reason is Reason.DNS_LOOKUP_FAILED
    answers = {socket_lb.link(node, CONNECT): of_link}
    if of_program:
        answers[socket_lb.program(node, CONNECT)] = of_program
    diagnosis = diagnose(answering(run, answers))
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (
        HopName.SERVICE_TRANSLATION,
        Reason.PROGRAM_MISSING,
    )
    assert diagnosis.symptom is not None
    assert diagnosis.symptom.hop is HopName.NAME_RESOLUTION


@pytest.mark.parametrize(
    ("of_link", "of_program"),
    [
        (link(1), None),
        (printed(GONE, 255), printed([{"id": 7, "name": "cil_sock4_connect"}])),  # attached without a link
        (Answer(1, b"", b"no such thing", 0.0, 0.0), None),
    ],
)
def test_a_program_that_may_be_attached_is_not_the_cause(of_link: Answer, of_program: Answer | None) -> None:
    run = unresolved()
    node = run.plan.source.node.name
    answers = {socket_lb.link(node, CONNECT): of_link}
    if of_program:
        answers[socket_lb.program(node, CONNECT)] = of_program
    assert diagnose(answering(run, answers)).reason is Reason.DNS_LOOKUP_FAILED


def sockets(*pods: object, root: object = None) -> Answer:
    """What `find` prints: the root and the pod's cgroup, each followed by its programs."""
    shown = [("/run/cilium/cgroupv2", root), *(("/run/cilium/cgroupv2/kubepods/pod1", one) for one in pods)]
    lines = [line for path, programs in shown for line in (path, json.dumps(programs) if programs else "")]
    return Answer(0, "\n".join(lines).encode(), b"", 0.0, 0.0)


def program(number: int, name: str = CONNECT) -> dict[str, object]:
    return {"id": number, "attach_type": "cgroup_inet4_connect", "name": name}


def with_sockets(run: PathRun, sockets_: Answer, of_link: Answer) -> PathRun:
    source = run.plan.source
    answers = {socket_lb.link(source.node.name, name): of_link for name in PROGRAMS}
    fact = socket_lb.of_pod(source.node.name, "/run/cilium/cgroupv2", source.pod.uid)
    return answering(run, {**answers, fact: sockets_})


ALL = [program(7, name) for name in PROGRAMS]


@pytest.mark.parametrize(
    "shown",
    [
        sockets([program(3, "sd_devices")], root=ALL),  # attached to a cgroup beside the pod's
        sockets(None),
        sockets([one for one in ALL if one["name"] != CONNECT]),
        sockets([one for one in ALL if one["name"] != "cil_sock4_sendmsg"]),
        sockets([one for one in ALL if one["name"] != "cil_sock4_recvmsg"]),
    ],
)
def test_a_program_attached_to_another_cgroup_than_the_pods_is_the_cause(shown: Answer) -> None:
    diagnosis = diagnose(with_sockets(unresolved(), shown, link(1)))
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.divergence.hop, diagnosis.reason) == (
        ProbeVerdict.BROKEN,
        HopName.SERVICE_TRANSLATION,
        Reason.PROGRAM_MISSING,
    )
    assert "is attached to a cgroup that the processes of pod" in diagnosis.message
    assert diagnosis.symptom is not None
    assert diagnosis.symptom.hop is HopName.NAME_RESOLUTION


@pytest.mark.parametrize(
    "shown",
    [
        sockets(ALL, root=ALL),
        sockets(root=ALL),  # no cgroup of the pod: the root is above all
        sockets(root=None),  # unknown: the pod's cgroup was not found
        Answer(0, b'/run/cilium/cgroupv2\n{"error":"unknown argument"}\n', b"", 0.0, 0.0),
        Answer(1, b"", b"find: no such folder", 0.0, 0.0),
    ],
)
def test_a_program_that_the_pods_sockets_pass_or_may_pass_is_not_the_cause(shown: Answer) -> None:
    assert diagnose(with_sockets(unresolved(), shown, link(1))).reason is Reason.DNS_LOOKUP_FAILED


def test_a_name_that_does_not_resolve_without_a_service_has_the_same_cause() -> None:
    run = unresolved()
    frontend = run.plan.frontend
    assert frontend is not None
    target = HeadlessTarget(run.plan.destination, frontend.service, run.plan.backends)
    nameserver = Nameserver(frontend, run.plan.backends)
    headless = replace(run, plan=replace(run.plan, target=target, nameserver=nameserver))
    assert diagnose(headless).reason is Reason.DNS_LOOKUP_FAILED
    diagnosis = diagnose(with_sockets(headless, sockets(None, root=ALL), link(1)))
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (HopName.NAME_RESOLUTION, Reason.DNS_PATH_BROKEN)
    assert "is attached to a cgroup" in diagnosis.message


@pytest.mark.parametrize(
    ("of_pod", "verdict"),
    [
        ([program(7)], ProbeVerdict.HEALTHY),
        ([program(7), program(9)], ProbeVerdict.HEALTHY),  # that of an outer cluster, whose cgroup is above
        ([program(9), program(7)], ProbeVerdict.DEGRADED),
        ([program(9)], ProbeVerdict.DEGRADED),
        ([program(3, "other_connect"), program(7)], ProbeVerdict.HEALTHY),
    ],
)
def test_another_program_that_sockets_pass_first_is_a_latent_fault(
    of_pod: list[object], verdict: ProbeVerdict
) -> None:
    healthy = recorded("kpr/healthy-service@1.18.5")
    diagnosis = diagnose(with_sockets(answering(healthy, {}), sockets(of_pod, root=of_pod), link(1)))
    assert diagnosis.verdict is verdict
    if verdict is ProbeVerdict.DEGRADED:
        assert diagnosis.divergence is not None
        assert (diagnosis.divergence.hop, diagnosis.reason) == (
            HopName.SERVICE_TRANSLATION,
            Reason.FOREIGN_PROGRAM,
        )


def test_sockets_that_can_not_be_judged_may_be_the_cause_of_a_name_that_did_not_resolve() -> None:
    silent = Answer(1, b"", b"find: no such folder", 0.0, 0.0)
    diagnosis = diagnose(with_sockets(unresolved(), silent, link(1)))
    assert diagnosis.divergence is None
    assert diagnosis.segment is not None
    hops = [finding.hop for finding in diagnosis.findings]
    assert hops.index(diagnosis.segment.before) >= hops.index(HopName.SERVICE_TRANSLATION)


def test_sockets_of_pods_are_read_only_with_socket_load_balancing() -> None:
    kinds = {fact.kind for fact in facts_of(recorded("kpr/healthy-service@1.18.5"))}
    assert FactKind.CGROUP_PROGRAMS in kinds
    kinds = {fact.kind for fact in facts_of(recorded("healthy-service-cross-node"))}
    assert FactKind.CGROUP_PROGRAMS not in kinds


def test_a_connection_to_the_frontend_itself_is_seen_to_be_untranslated() -> None:
    run = recorded("kpr/frontend-missing@1.18.5")
    frontend = run.plan.frontend
    assert frontend is not None
    node, client, port = run.plan.source.node.name, run.plan.source.ip, run.request.local_port
    untranslated_entry = conntrack.out_entry(node, client, port, frontend.ip, frontend.number)
    assert untranslated_entry in facts_of(run)
    entry = recorded("source-policy-program-missing")
    sample = next(
        r[-1]
        for q, r in entry.evidence
        if q.kind is FactKind.CONNTRACK_ENTRY and isinstance(conntrack.parse(r[-1]), conntrack.CtEntry)
    )
    found = conntrack.parse(sample)
    assert isinstance(found, conntrack.CtEntry)
    assert isinstance(sample, Answer)
    shown = json.loads(sample.stdout)
    now = 0x7FFFFFFF.to_bytes(4, "little").hex(" ").split()
    shown["value"][48:52] = [f"0x{octet}" for octet in now]
    diagnosis = diagnose(answering(run, {untranslated_entry: printed(shown)}))
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.SERVICE_LOOKUP  # the cause
    [translation] = [f for f in diagnosis.findings if f.hop is HopName.SERVICE_TRANSLATION]
    assert (translation.verdict, translation.reason) == (HopVerdict.BROKEN, Reason.NOT_TRANSLATED)
    assert diagnosis.verdict is ProbeVerdict.BROKEN


def test_answers_of_bpftool_about_the_program_are_parsed() -> None:
    assert socket_lb.parse_link(link(1)) == CgroupLink(program_id=7, attached=True)
    assert socket_lb.parse_link(link(0)) == CgroupLink(program_id=7, attached=False)
    assert socket_lb.parse_link(printed(GONE, 255)) == Absent()
    assert isinstance(socket_lb.parse_link(printed({"error": "Operation not permitted"}, 255)), Unavailable)
    assert socket_lb.parse_program(NO_PROGRAM) is False
    assert socket_lb.parse_program(printed({"id": 7})) is True
    assert isinstance(socket_lb.parse_program(printed({"error": "x"}, 255)), Unavailable)


def test_with_socket_load_balancing_for_hosts_only_their_sockets_are_judged_too() -> None:
    run = unresolved()
    assert run.plan.frontend is not None
    settings = {"kube-proxy-replacement": "true", "bpf-lb-sock-hostns-only": "true"}
    plan = replace(run.plan, config={**run.plan.config, **settings})
    of_host = replace(plan, source=replace(plan.source, pod=replace(plan.source.pod, host_network=True)))
    hops = {hop.name for hop in expected_path(of_host, None).hops}
    assert {HopName.SERVICE_LOOKUP, HopName.SERVICE_TRANSLATION} <= hops
    for judged, asks in ((of_host, True), (plan, False)):
        kinds = {fact.kind for fact in facts_of(replace(run, plan=judged))}
        assert (FactKind.CGROUP_PROGRAMS in kinds) is asks
