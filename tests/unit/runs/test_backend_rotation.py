"""Which other backends a run looks at."""

from dataclasses import replace
from ipaddress import ip_address

from datapath_probe.plan.other_backends import Looks, OtherBackend, other_backends
from datapath_probe.plan.plan import Backend, Nameserver, Plan
from datapath_probe.runs.backend_rotation import LOOK_AGAIN_S, MAX_OTHERS, BackendRotation
from unit.plan.planned import POD, SERVICE, planned
from unit.plans import with_backends


def plan_with(count: int) -> Plan:
    addresses = (ip_address(f"203.0.113.{number}") for number in range(1, count + 1))
    return with_backends(planned(SERVICE), *(Backend(ip, 80, None) for ip in addresses))


def test_a_pod_has_no_other_backend() -> None:
    assert other_backends(planned(POD)) == ()


def test_name_servers_count_even_if_the_service_has_one_backend() -> None:
    plan = plan_with(1)
    assert plan.frontend is not None
    assert other_backends(plan) == ()
    served = replace(plan, nameserver=Nameserver(plan.frontend, plan.backends))
    assert other_backends(served) == (OtherBackend(ip_address("203.0.113.1"), 80, of_dns=True),)


def test_a_backend_whose_agent_does_not_respond_is_not_looked_at() -> None:
    plan = planned(SERVICE)
    assert len(other_backends(plan)) == 2
    far = plan.backends[0]
    assert far.pod_facts is not None
    assert far.pod_facts.node.agent is not None
    down = replace(far.pod_facts.node, agent=replace(far.pod_facts.node.agent, ready=False))
    away = replace(far, target=replace(far.pod_facts, node=down))
    assert len(other_backends(with_backends(plan, away, *plan.backends[1:]))) == 1


def test_a_backend_is_not_looked_at_again_for_a_while() -> None:
    rotation, plan = BackendRotation(), plan_with(3)
    assert len(rotation.choose(plan, 1000.0)) == 3
    assert rotation.choose(plan, 1000.0 + LOOK_AGAIN_S - 1) == ()
    assert len(rotation.choose(plan, 1000.0 + LOOK_AGAIN_S)) == 3


def test_a_requested_run_looks_at_all() -> None:
    rotation, plan = BackendRotation(), plan_with(3)
    assert rotation.choose(plan, 1000.0) == rotation.choose(plan, 1001.0, fresh=True)


def test_all_get_their_turn_a_few_at_a_time() -> None:
    rotation, plan = BackendRotation(), plan_with(2 * MAX_OTHERS + 1)
    looks = [rotation.choose(plan, 1000.0 + number, fresh=True) for number in range(3)]
    assert [len(look) for look in looks] == [MAX_OTHERS] * 3
    assert set().union(*looks) == set(other_backends(plan))


def test_a_suspect_backend_is_looked_at_in_every_run_until_one_sees_it_right() -> None:
    rotation, plan = BackendRotation(), plan_with(2 * MAX_OTHERS)
    looked_at = rotation.choose(plan, 1000.0)
    rotation.found(plan, 1000.0, Looks(frozenset({looked_at[3]}), frozenset(looked_at) - {looked_at[3]}))
    again = rotation.choose(plan, 1001.0)
    assert again[0] == looked_at[3]
    assert len(again) == MAX_OTHERS
    rotation.found(plan, 1001.0, Looks(frozenset(), frozenset()))  # it could not be judged
    assert rotation.choose(plan, 1002.0)[0] == looked_at[3]
    rotation.found(plan, 1002.0, Looks(frozenset(), frozenset({looked_at[3]})))
    assert looked_at[3] not in rotation.choose(plan, 1003.0)


def test_the_backend_that_a_request_used_is_suspect_too() -> None:
    rotation, plan = BackendRotation(), plan_with(2)
    used, _ = rotation.choose(plan, 1000.0)
    rotation.found(plan, 1000.0, Looks(frozenset({used}), frozenset()))
    assert rotation.choose(replace(plan, probe="default/another"), 1001.0) == (used,)
    assert rotation.suspects(plan, other_backends(plan)) == (used,)


def test_an_older_run_does_not_clear_what_a_newer_one_found() -> None:
    rotation, plan = BackendRotation(), plan_with(2)
    used, _ = rotation.choose(plan, 1000.0)
    rotation.found(plan, 1001.0, Looks(frozenset({used}), frozenset()))
    rotation.found(plan, 1000.0, Looks(frozenset(), frozenset({used})))
    assert rotation.suspects(plan, (used,)) == (used,)


def test_the_backend_that_a_request_used_is_not_looked_at_for_a_while_if_it_was_right() -> None:
    rotation, plan = BackendRotation(), plan_with(2)
    used, other = other_backends(plan)
    rotation.found(plan, 1000.0, Looks(frozenset(), frozenset({used})))
    assert rotation.choose(plan, 1001.0) == (other,)


def test_each_source_has_its_own_turn_and_probes_of_one_source_share_it() -> None:
    rotation, plan = BackendRotation(), plan_with(2)
    other = replace(plan, source=replace(plan.source, pod=replace(plan.source.pod, uid="another")))
    same = replace(plan, probe="default/another")
    assert rotation.choose(plan, 1000.0)
    assert rotation.choose(same, 1001.0) == ()
    assert rotation.choose(other, 1001.0)


def test_what_is_remembered_is_bounded() -> None:
    rotation, plan = BackendRotation(limit=2), plan_with(3)
    first, second, third = rotation.choose(plan, 1000.0)
    assert rotation.choose(plan, 1001.0) == (first,), "the oldest look is forgotten"
    assert rotation.choose(plan, 1001.0) == (second,)
    assert rotation.choose(plan, 1001.0) == (third,)


def _in_namespace(plan: Plan, namespace: str) -> Plan:
    pod = replace(plan.source.pod, namespace=namespace, uid=f"uid-{namespace}")
    return replace(plan, source=replace(plan.source, pod=pod))


def test_the_services_of_one_namespace_do_not_displace_what_is_known_in_another() -> None:
    rotation = BackendRotation(limit=12)
    calm = _in_namespace(plan_with(3), "calm")
    suspect, *_ = rotation.choose(calm, 1000.0)
    rotation.found(calm, 1000.0, Looks(frozenset({suspect}), frozenset()))
    for name in ("busy", "large"):
        busy = _in_namespace(plan_with(200), name)
        for number in range(50):
            assert len(rotation.choose(busy, 1001.0 + number)) == MAX_OTHERS
    assert rotation.suspects(calm, other_backends(calm)) == (suspect,)
    assert rotation.choose(calm, 1060.0) == (suspect,), "the others were right a moment ago"


def test_a_namespace_uses_what_others_leave() -> None:
    rotation, plan = BackendRotation(limit=8), plan_with(8)
    assert len(rotation.choose(plan, 1000.0)) == 8
    assert rotation.choose(plan, 1001.0) == ()
