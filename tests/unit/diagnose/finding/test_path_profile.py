"""What counts as a path change, and how it is described."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from datapath_probe.api.vocabulary import LoadBalancing
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.path_profile import ObservedAttachment, ObservedPathProfile, changes
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from unit.publish.samples import PROFILE
from unit.recorded import names, recorded

TC = ObservedAttachment("tc", ("cil_from_container",))
TO_POD: Mapping[str, Any] = {"load_balancing": LoadBalancing.NONE, "backend_count": 1}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {}, ()),
        ({}, {"routing": "native"}, ("routing vxlan → native",)),
        ({}, {"load_balancing": LoadBalancing.SOCKET}, ("load balancing PerPacket → Socket",)),
        ({}, {"endpoint_routes": True}, ("endpoint routes off → on",)),
        ({}, {"sources": {"xwing": "node1"}}, ("source moved node2 → node1",)),
        (
            {"backends": {"deathstar-0": "node1"}, **TO_POD},
            {"backends": {"deathstar-0": "node2"}, **TO_POD},
            ("destination moved node1 → node2",),
        ),
        (
            {},
            {"backends": {"deathstar-0": "node2", "deathstar-1": "node2"}},
            ("backend deathstar-0 moved node1 → node2",),
        ),
        (
            {},
            {"backends": {"deathstar-0": "node1", "deathstar-2": "node3"}},
            ("backend set changed: +deathstar-2@node3, -deathstar-1@node2",),
        ),
        (
            {"backend_count": 40},
            {"backend_count": 41, "backends": {"deathstar-9": "node1"}},
            ("backend set changed: 40 → 41 backends",),
        ),
        (
            {},
            {"node_attachments": {"node1": TC, "node2": TC}},
            ("attach mode tcx → tc on node1, node2",),
        ),
        (
            {},
            {"node_attachments": {"node2": ObservedAttachment("tcx", ("cil_from_container", "tracer"))}},
            ("programs cil_from_container → cil_from_container, tracer on node2",),
        ),
        ({}, {"node_attachments": {}}, ()),  # not seen is not changed
        (
            {},
            {"routing": "native", "node_attachments": {"node2": TC}},
            ("routing vxlan → native", "attach mode tcx → tc on node2"),
        ),
    ],
)
def test_differences_are_described(
    before: dict[str, Any], after: dict[str, Any], words: tuple[str, ...]
) -> None:
    assert changes(replace(PROFILE, **before), replace(PROFILE, **after)) == words


def test_routing_does_not_matter_to_a_path_that_stays_on_its_node() -> None:
    near = replace(PROFILE, backends={"deathstar-1": "node2"}, backend_count=1)
    native = replace(near, routing="native")
    assert changes(near, native) == ()
    assert near.fingerprint("xwing", "deathstar-1") == native.fingerprint("xwing", "deathstar-1")
    assert PROFILE.fingerprint("xwing", "deathstar-0") != replace(PROFILE, routing="native").fingerprint(
        "xwing", "deathstar-0"
    )


def test_a_large_changed_set_is_abbreviated() -> None:
    after = replace(PROFILE, backends={f"star-{n}": "node1" for n in range(9)}, backend_count=9)
    [words] = changes(PROFILE, after)
    assert words.endswith("+star-3@node1 and 7 more")


def test_the_fingerprint_is_of_the_path_to_one_backend() -> None:
    near, far = PROFILE.fingerprint("xwing", "deathstar-1"), PROFILE.fingerprint("xwing", "deathstar-0")
    assert near
    assert near.startswith("sha256:")
    assert near != far
    more = replace(PROFILE, backends={**PROFILE.backends, "deathstar-2": "node1"}, backend_count=3)
    assert more.fingerprint("xwing", "deathstar-0") == more.fingerprint("xwing", "deathstar-2") == far
    assert replace(PROFILE, load_balancing=LoadBalancing.SOCKET).fingerprint("xwing", "deathstar-0") != far


def test_there_is_no_fingerprint_of_an_unknown_path() -> None:
    unseen = replace(PROFILE, node_attachments={"node2": PROFILE.node_attachments["node2"]})
    assert unseen.fingerprint("xwing", "deathstar-0") is None
    assert unseen.fingerprint("xwing", "deathstar-1")
    assert unseen.fingerprint("xwing", "deathstar-7") is None


def profile_of(name: str) -> ObservedPathProfile:
    profile = diagnose(recorded(name)).profile
    assert profile is not None
    return profile


def test_a_recorded_run_has_its_profile() -> None:
    profile = profile_of("healthy-service-cross-node")
    assert (profile.routing, profile.load_balancing, profile.endpoint_routes) == (
        "vxlan",
        LoadBalancing.PER_PACKET,
        False,
    )
    assert set(profile.node_attachments.values()) == {ObservedAttachment("tcx", ("cil_from_container",))}
    assert set(profile.node_attachments) == {"node1", "node2"}
    assert profile.backend_count == len(profile.backends) == 2


def test_another_backend_and_a_fault_do_not_change_the_profile() -> None:
    healthy = profile_of("healthy-service-cross-node")
    for name in names():
        run = recorded(name)
        if run.plan.frontend is None or diagnose(run).profile is None:
            continue
        profile = profile_of(name)
        if (
            "/" in name or profile.sources != healthy.sources
        ):  # in another mode, or recorded in another lab, where the ship is on the other node
            continue
        assert [words for words in changes(healthy, profile) if "backend" not in words] == [], name


def test_without_agreement_of_agents_there_is_no_profile() -> None:
    run = recorded("healthy-service-cross-node")
    readings = dict(run.evidence.readings)
    [fact] = [q for q in readings if q.kind is FactKind.AGENT_CONFIG and q.node == "node1"]
    last = readings[fact][-1]
    assert isinstance(last, Answer)
    switched = replace(last, stdout=last.stdout.replace(b"routing-mode:tunnel", b"routing-mode:native"))
    assert switched != last
    readings[fact] = (switched,)
    assert diagnose(replace(run, evidence=Evidence(readings))).profile is None
