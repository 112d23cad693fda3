"""A drop belongs to the hop that owns the dropping object, or to none if several objects can be the cause."""

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.connection.drops import Drop, DropContext, owner

S, D, BOTH = (True, False), (False, True), (True, True)
LXC, HOST, OVERLAY = "bpf_lxc.c", "bpf_host.c", "bpf_overlay.c"

# code, file, direction, node, hop of a request, hop of a reply dropped on the opposite node
OWNED = [
    (133, LXC, "egress", S, HopName.EGRESS_POLICY, HopName.REPLY_PROGRAM),
    (133, LXC, "ingress", D, HopName.INGRESS_POLICY, HopName.REPLY_DELIVERY),
    (181, "", "ingress", D, HopName.INGRESS_POLICY, HopName.REPLY_DELIVERY),
    (189, LXC, "", S, HopName.EGRESS_POLICY, HopName.REPLY_PROGRAM),
    (133, LXC, "ingress", S, HopName.LOCALITY_LOOKUP, None),
    (133, HOST, "ingress", D, None, None),
    (155, LXC, "egress", S, HopName.EGRESS_POLICY, HopName.REPLY_PROGRAM),
    (155, LXC, "ingress", D, HopName.INGRESS_POLICY, HopName.REPLY_DELIVERY),
    (140, LXC, "egress", S, HopName.SOURCE_PROGRAM, HopName.REPLY_PROGRAM),
    (140, LXC, "ingress", D, HopName.DESTINATION_PROGRAM, HopName.REPLY_DELIVERY),
    (140, OVERLAY, "ingress", D, HopName.OVERLAY_DECAPSULATION, HopName.REPLY_DECAPSULATION),
    (140, HOST, "ingress", D, None, None),
    (151, HOST, "ingress", D, HopName.ENDPOINT_LOOKUP, HopName.REPLY_DELIVERY),
    (151, HOST, "egress", S, HopName.IPCACHE_LOOKUP, HopName.REPLY_IPCACHE),
    (160, LXC, "egress", S, HopName.IPCACHE_LOOKUP, HopName.REPLY_IPCACHE),
    (169, HOST, "egress", S, HopName.NODE_ROUTING, HopName.REPLY_ROUTING),
    (171, OVERLAY, "ingress", D, HopName.OVERLAY_DECAPSULATION, HopName.REPLY_DECAPSULATION),
    (203, OVERLAY, "ingress", D, HopName.DESTINATION_PROGRAM, HopName.REPLY_DELIVERY),
    (203, LXC, "egress", S, HopName.LOCALITY_LOOKUP, None),
    (158, LXC, "egress", S, HopName.SERVICE_LOOKUP, None),
    (132, LXC, "egress", S, HopName.SOURCE_PROGRAM, HopName.REPLY_PROGRAM),
    (166, LXC, "egress", S, None, None),
]


@pytest.mark.parametrize(("code", "file", "direction", "node", "request_", "reply"), OWNED)
def test_a_drop_between_nodes_is_owned_by_one_hop(
    code: int,
    file: str,
    direction: str,
    node: tuple[bool, bool],
    request_: HopName | None,
    reply: HopName | None,
) -> None:
    at_source, at_destination = node
    assert owner(DropContext(code, file, direction, False, at_source, at_destination)) is request_
    assert owner(DropContext(code, file, direction, True, at_destination, at_source)) is reply


@pytest.mark.parametrize(
    ("code", "direction", "hop"),
    [
        (133, "egress", HopName.EGRESS_POLICY),
        (133, "ingress", HopName.INGRESS_POLICY),
        (133, "", None),
        (140, "egress", HopName.SOURCE_PROGRAM),
        (203, "egress", HopName.DESTINATION_PROGRAM),
        (151, "", HopName.ENDPOINT_LOOKUP),
        (158, "", HopName.SERVICE_LOOKUP),
    ],
)
def test_on_one_node_the_direction_shows_the_end(code: int, direction: str, hop: HopName | None) -> None:
    assert owner(DropContext(code, LXC, direction, False, *BOTH)) is hop


@pytest.mark.parametrize(
    ("code", "hop"),
    [(155, HopName.SERVICE_TRANSLATION), (158, HopName.SERVICE_LOOKUP), (133, None), (151, None)],
)
def test_before_translation_only_the_services_hops_are_named(code: int, hop: HopName | None) -> None:
    assert owner(DropContext(code, LXC, "egress", False, *S, to_service=True)) is hop


def test_only_a_request_denied_by_an_endpoint_counts_as_policy() -> None:
    assert Drop("n", HopName.INGRESS_POLICY, 181, "ingress", LXC, reply=False).is_policy
    assert not Drop("n", HopName.INGRESS_POLICY, 155, "ingress", LXC, reply=False).is_policy
    assert not Drop("n", HopName.REPLY_PROGRAM, 133, "egress", LXC, reply=True).is_policy
    assert not Drop("n", None, 133, "ingress", HOST, reply=False).is_policy


def test_a_drop_reads_as_a_sentence() -> None:
    drop = Drop("node1", HopName.INGRESS_POLICY, 181, "ingress", LXC, False, 3, ("CiliumNetworkPolicy a/b",))
    assert str(drop) == (
        "node1 dropped a packet of this connection in bpf_lxc.c: Policy denied by denylist (181)"
        " by CiliumNetworkPolicy a/b, 3 times"
    )
    assert drop.reason is Reason.POLICY_DENIED


def test_a_drop_for_missing_authentication_is_no_denial() -> None:
    drop = Drop("node1", HopName.INGRESS_POLICY, 189, "ingress", LXC, reply=False)
    assert drop.reason is Reason.PACKET_DROPPED
