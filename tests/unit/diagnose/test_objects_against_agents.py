"""A CiliumEndpoint or CiliumNode that contradicts the agent or the Node: the object's hop is named."""

import json
from dataclasses import replace
from ipaddress import ip_address

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.finding import Divergence
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.reading import Answer
from datapath_probe.plan.plan import Backend, PodFacts
from datapath_probe.sources.agent import agent_endpoint
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.bpf.map_layout import parse as parse_layout
from datapath_probe.sources.bpf.map_layout import version as layout_version
from datapath_probe.sources.maps import ipcache, lxcmap
from unit.plans import with_backends
from unit.recorded import recorded


def read_twice(run: PathRun) -> PathRun:
    """The run with every fact read once more."""
    evidence = run.evidence
    for fact, readings in run.evidence:
        evidence = evidence.adding([fact], [readings[-1]])
    return replace(run, evidence=evidence, second_look=True)


def with_destination(run: PathRun, change: PodFacts) -> PathRun:
    """The run with these objects of the destination."""
    [backend] = run.plan.backends
    plan = with_backends(run.plan, Backend(backend.ip, backend.port, change))
    return read_twice(replace(run, plan=plan, plan_after=plan))


def destination(run: PathRun) -> PodFacts:
    [backend] = run.plan.backends
    assert backend.pod_facts is not None
    return backend.pod_facts


def divergence(run: PathRun) -> Divergence:
    found = diagnose(run).divergence
    assert found is not None
    return found


def test_a_cilium_endpoint_with_a_wrong_identity_is_named_before_the_maps_that_follow_it() -> None:
    run = recorded("healthy-cross-node")
    pod = destination(run)
    assert pod.endpoint is not None
    stale = replace(pod, endpoint=replace(pod.endpoint, identity=pod.endpoint.identity + 1))
    found = divergence(with_destination(run, stale))
    assert (found.hop, found.reason) == (HopName.IPAM, Reason.CILIUM_ENDPOINT_MISMATCH)


def test_a_cilium_node_with_a_wrong_address_is_named() -> None:
    run = recorded("healthy-cross-node")
    pod = destination(run)
    assert pod.node.cilium is not None
    moved = replace(pod.node, cilium=replace(pod.node.cilium, internal_ips=(ip_address("172.30.0.99"),)))
    found = divergence(with_destination(run, replace(pod, node=moved)))
    assert (found.hop, found.reason) == (HopName.IPAM, Reason.CILIUM_NODE_MISMATCH)


NO_ENDPOINT = Answer(
    1, b"", b"Error: Cannot get endpoint ipv4:10.0.0.1: [GET /endpoint/{id}][404]\n", 0.0, 0.0
)


def edited(run: PathRun, **changes: object) -> PathRun:
    """The run with changes to the destination's CiliumEndpoint."""
    pod = destination(run)
    assert pod.endpoint is not None
    return with_destination(run, replace(pod, endpoint=replace(pod.endpoint, **changes)))  # type: ignore[arg-type]  # a test's shorthand


def test_a_cilium_endpoint_on_the_node_of_the_tunnel_endpoint_is_the_cause() -> None:
    run = recorded("ipcache-wrong-tunnel-endpoint")
    here, pod = run.plan.source.node.name, destination(run)
    layout = parse_layout(run.evidence.latest(layout_version(here)))
    assert isinstance(layout, Layout)
    record = ipcache.parse(run.evidence.latest(ipcache.lookup(here, layout, pod.ip)))
    assert isinstance(record, ipcache.IpcacheRecord)
    assert record.tunnel_endpoint is not None
    found = divergence(edited(run, node_ip=record.tunnel_endpoint))
    assert (found.hop, found.reason) == (HopName.IPAM, Reason.CILIUM_ENDPOINT_MISMATCH)


def test_a_cilium_endpoint_on_another_node_that_the_ipcache_does_not_follow_is_no_cause() -> None:
    found = divergence(edited(recorded("udp-8472-dropped-by-source"), node_ip="172.30.0.77"))
    assert found.reason is Reason.NETFILTER_DROPS
    found = divergence(edited(recorded("ipcache-wrong-tunnel-endpoint"), node_ip="172.30.0.77"))
    assert found.hop is HopName.IPCACHE_LOOKUP


def test_a_cilium_endpoint_with_another_identity_that_the_ipcache_does_not_have_is_no_cause() -> None:
    run = recorded("egress-policy-deny-service")
    [chosen] = [b for b in run.plan.backends if b == diagnose(run).backend]
    assert chosen.pod_facts is not None
    assert chosen.pod_facts.endpoint is not None
    identity = chosen.pod_facts.endpoint.identity + 1
    stale = replace(chosen.pod_facts, endpoint=replace(chosen.pod_facts.endpoint, identity=identity))
    backends = tuple(replace(b, target=stale) if b is chosen else b for b in run.plan.backends)
    plan = with_backends(run.plan, *backends)
    assert divergence(read_twice(replace(run, plan=plan, plan_after=plan))).hop is not HopName.IPAM


def test_a_pod_without_an_endpoint_on_its_node_explains_the_missing_entry() -> None:
    run = recorded("endpoint-entry-missing")
    pod = destination(run)
    gone = with_destination(run, replace(pod, endpoint=None))
    evidence = gone.evidence
    for _ in range(2):
        evidence = evidence.adding([agent_endpoint.at(pod.node.name, pod.ip)], [NO_ENDPOINT])
    found = divergence(replace(gone, evidence=evidence))
    assert (found.hop, found.reason) == (HopName.IPAM, Reason.CILIUM_ENDPOINT_MISSING)
    assert "no endpoint with its address" in found.message


def test_without_a_cilium_endpoint_the_agents_own_is_found_by_address_and_hops_are_judged() -> None:
    run = recorded("endpoint-wrong-mac")
    pod = destination(run)
    assert pod.endpoint is not None
    known = run.evidence.latest(agent_endpoint.fact(pod.node.name, pod.endpoint.endpoint_id))
    gone = with_destination(run, replace(pod, endpoint=None))
    asked = agent_endpoint.at(pod.node.name, pod.ip)
    evidence = gone.evidence.adding([asked], [known]).adding([asked], [known])
    found = divergence(replace(gone, evidence=evidence))
    assert (found.hop, found.reason) == (HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISMATCH)


def test_a_missing_entry_is_reported_even_without_an_endpoint_of_the_agent() -> None:
    run = recorded("endpoint-entry-missing")
    pod = destination(run)
    assert pod.endpoint is not None
    asked = agent_endpoint.fact(pod.node.name, pod.endpoint.endpoint_id)
    evidence = run.evidence.adding([asked], [NO_ENDPOINT])
    [finding] = [
        f for f in diagnose(replace(run, evidence=evidence)).findings if f.hop is HopName.ENDPOINT_LOOKUP
    ]
    assert finding.reason is Reason.ENDPOINT_ENTRY_MISSING


def test_another_identity_in_the_endpoint_map_is_a_latent_fault() -> None:
    run = recorded("healthy-cross-node")
    pod = destination(run)
    asked = lxcmap.lookup(pod.node.name, pod.ip)
    reading = run.evidence.latest(asked)
    assert isinstance(reading, Answer)
    shown = json.loads(reading.stdout)
    shown["value"][32:36] = ["0x63", "0x00", "0x00", "0x00"]
    other = replace(reading, stdout=json.dumps(shown).encode())
    found = diagnose(read_twice(replace(run, evidence=run.evidence.adding([asked], [other]))))
    assert found.verdict is ProbeVerdict.DEGRADED
    assert found.divergence is not None
    assert (found.divergence.hop, found.reason) == (HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISMATCH)
    assert "identity 99 instead of" in found.message
