"""A CiliumEndpoint or CiliumNode that says something else than the agent or the Node: the object's hop is named."""

from dataclasses import replace

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.diagnose import diagnose
from datapath_probe.diagnose.findings import Divergence
from datapath_probe.diagnose.run import Run
from datapath_probe.plan.plan import Backend, PodFacts
from unit.recorded import recorded


def looked_at_twice(run: Run) -> Run:
    """The run with every answer given once more."""
    evidence = run.evidence
    for question, readings in run.evidence:
        evidence = evidence.adding([question], [readings[-1]])
    return replace(run, evidence=evidence, second_look=True)


def with_destination(run: Run, change: PodFacts) -> Run:
    """The run to a destination that objects describe so."""
    [backend] = run.plan.backends
    plan = replace(run.plan, backends=(Backend(backend.ip, backend.port, change),))
    return looked_at_twice(replace(run, plan=plan, plan_after=plan))


def destination(run: Run) -> PodFacts:
    [backend] = run.plan.backends
    assert backend.target is not None
    return backend.target


def blamed(run: Run) -> Divergence:
    found = diagnose(run).divergence
    assert found is not None
    return found


def test_a_destination_of_another_identity_than_its_agent_says_is_named_before_those_who_believe_it() -> None:
    run = recorded("healthy-cross-node")
    pod = destination(run)
    assert pod.endpoint is not None
    stale = replace(pod, endpoint=replace(pod.endpoint, identity=pod.endpoint.identity + 1))
    found = blamed(with_destination(run, stale))
    assert (found.hop, found.reason) == (HopName.IPAM, Reason.CILIUM_ENDPOINT_MISMATCH)


def test_a_cilium_node_with_another_address_than_the_node_is_named_itself() -> None:
    run = recorded("healthy-cross-node")
    pod = destination(run)
    assert pod.node.cilium is not None
    moved = replace(pod.node, cilium=replace(pod.node.cilium, internal_ips=("172.30.0.99",)))
    found = blamed(with_destination(run, replace(pod, node=moved)))
    assert (found.hop, found.reason) == (HopName.IPAM, Reason.CILIUM_NODE_MISMATCH)
