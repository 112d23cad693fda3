"""With eBPF masquerading, programs at the exit's device give packets the node's address and translate replies back. The
NAT map has an entry for each connection.
"""

import struct
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.addresses import IpAddress
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.finding import Segment
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.sources.agent import agent_config
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.maps import egress_gateway, ipmasq, natmap
from unit.diagnose.datapath.held_programs import finding, printed, twice
from unit.recorded import recorded
from unit.sources.golden import looked_up

HEALTHY, FIREWALL = "healthy-outside", "outside-firewall-by-name"
TO, FROM, DEVICE = "cil_to_netdev", "cil_from_netdev", "eth0"
BOTH = ((TO, "egress"), (FROM, "ingress"))
CONFIG = b"/tmp/cilium/config-map/"
OF_BPF = CONFIG + b"enable-bpf-masquerade:true\n"
WITH_GATEWAYS = CONFIG + b"enable-egress-gateway:true\n"
WITH_EXCEPTIONS = CONFIG + b"enable-ip-masq-agent:true\n"
LINK = {"id": 9, "type": "tcx", "prog_id": 7}
SERVER, NODE_ADDRESS, NO_ADDRESS = map(ip_address, ("203.0.113.10", "172.30.0.13", "172.30.0.99"))
NOW_S, EARLIER_S = 30_000, 20_000  # after and before the recorded runs, in seconds of uptime
HELD = {**LINK, "devname": DEVICE, "ifindex": 2}
ABSENT = Answer(254, b"null", b"", 7.0, 0.1)


def nat_entry(source: IpAddress, created_s: int = NOW_S) -> Answer:
    return looked_up(struct.pack("<Q24x4sH2x", created_s, source.packed, 12345).hex(" "))


def masqueraded(
    name: str = HEALTHY,
    attached: Sequence[tuple[str, str]] = BOTH,
    *,
    link: object = HELD,
    entry: Answer | None = None,
    settings: bytes = b"",
    gateway: Answer | None = None,
    exception: Answer | None = None,
) -> PathRun:
    """The recorded run, if Cilium masqueraded with eBPF: programs, their pinned links, the entry of the NAT map."""
    run = recorded(name)
    node = run.plan.source.node.name
    config = run.evidence.latest(agent_config.fact(node))
    assert isinstance(config, Answer)
    tc = [
        {"devname": DEVICE, "ifindex": 2, "kind": f"tcx/{side}", "name": name, "prog_id": 7, "link_id": 9}
        for name, side in attached
    ]
    answers: dict[Fact, Reading] = {
        agent_config.fact(node): replace(config, stdout=config.stdout + OF_BPF + settings),
        bpftool.attached(node, DEVICE): printed([{"xdp": [], "tc": tc}]),
    }
    for program in (TO, FROM):
        answers[bpftool.device_link(node, DEVICE, program)] = printed(link)
    fact = natmap.egress_entry(node, run.plan.source.ip, run.request.local_port, SERVER, 80)
    answers[fact] = entry or ABSENT
    answers[egress_gateway.entry(node, run.plan.source.ip, SERVER)] = gateway or ABSENT
    answers[ipmasq.exception(node, SERVER)] = exception or ABSENT
    answers[links.holders(node, NO_ADDRESS)] = printed([])
    return twice(run, answers)


def masquerade(run: PathRun) -> tuple[HopVerdict, Reason | str, str]:
    return finding(diagnose(run), HopName.MASQUERADE)


def test_attached_programs_masquerade() -> None:
    verdict, _, message = masquerade(masqueraded())
    assert (verdict, message) == (HopVerdict.OK, "cil_to_netdev masquerades packets")


@pytest.mark.parametrize(
    ("missing", "task"), [(TO, "masquerades packets"), (FROM, "translates replies back")]
)
def test_a_missing_program_is_named(missing: str, task: str) -> None:
    attached = [(name, side) for name, side in BOTH if name != missing]
    verdict, reason, message = masquerade(masqueraded(attached=attached))
    assert (verdict, reason) == (HopVerdict.STALE, Reason.PROGRAM_MISSING)
    assert f"{missing}, which {task}, is not attached to eth0" in message


def test_a_bpftool_that_lists_no_tcx_programs_shows_nothing() -> None:
    verdict, reason, message = masquerade(masqueraded(attached=(), link=LINK))
    assert (verdict, reason) == (HopVerdict.UNKNOWN, Reason.UNSUPPORTED_VERSION)
    assert "too old to list tcx programs" in message


def test_the_entry_of_the_connection_shows_its_address() -> None:
    verdict, _, message = masquerade(masqueraded(entry=nat_entry(NODE_ADDRESS)))
    assert verdict is HopVerdict.OK
    assert message.endswith("is translated to 172.30.0.13")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (NO_ADDRESS, Reason.WRONG_MASQUERADE_ADDRESS),
        (recorded(HEALTHY).plan.source.ip, Reason.NOT_MASQUERADED),
    ],
)
def test_an_entry_with_another_address_is_named(source: IpAddress, reason: Reason) -> None:
    verdict, found, _ = masquerade(masqueraded(entry=nat_entry(source)))
    assert (verdict, found) == (HopVerdict.STALE, reason)


def test_an_entry_of_an_earlier_connection_does_not_count() -> None:
    verdict, _, message = masquerade(masqueraded(entry=nat_entry(NO_ADDRESS, EARLIER_S)))
    assert (verdict, message) == (HopVerdict.OK, "cil_to_netdev masquerades packets")


def test_a_loss_after_the_entry_was_made_is_beyond_the_node() -> None:
    diagnosis = diagnose(masqueraded(FIREWALL, entry=nat_entry(NODE_ADDRESS)))
    assert diagnosis.reason is Reason.LOST_OUTSIDE_CLUSTER
    assert diagnosis.segment == Segment(HopName.CLUSTER_EXIT, HopName.DESTINATION_RESPONSE, "node3")
    assert "left the cluster at eth0 of node3 as 172.30.0.13:" in diagnosis.message
    assert "no reply reached the pod" in diagnosis.message


def test_it_is_not_known_to_be_beyond_the_node_if_a_reply_may_be_lost_there() -> None:
    run = masqueraded(FIREWALL, [BOTH[0]], link=LINK, entry=nat_entry(NODE_ADDRESS))
    assert diagnose(run).reason is not Reason.LOST_OUTSIDE_CLUSTER


def gateway(node: IpAddress | None, source: IpAddress | None) -> Answer:
    nothing = bytes(4)
    return looked_up(((source.packed if source else nothing) + (node.packed if node else nothing)).hex(" "))


def test_without_a_policy_for_the_pod_egress_gateways_change_nothing() -> None:
    verdict, _, message = masquerade(masqueraded(settings=WITH_GATEWAYS, entry=nat_entry(NODE_ADDRESS)))
    assert verdict is HopVerdict.OK
    assert message.endswith("is translated to 172.30.0.13")


def test_the_source_s_node_as_gateway_is_judged() -> None:
    own = gateway(NODE_ADDRESS, NODE_ADDRESS)
    entry = nat_entry(NODE_ADDRESS)
    verdict, _, message = masquerade(masqueraded(settings=WITH_GATEWAYS, gateway=own, entry=entry))
    assert verdict is HopVerdict.OK
    assert message.endswith("is translated to 172.30.0.13")
    diagnosis = diagnose(masqueraded(FIREWALL, settings=WITH_GATEWAYS, gateway=own, entry=entry))
    assert diagnosis.reason is Reason.LOST_OUTSIDE_CLUSTER


def test_another_address_than_the_gateway_s_is_named() -> None:
    own = gateway(NODE_ADDRESS, ip_address("172.30.0.90"))
    run = masqueraded(settings=WITH_GATEWAYS, gateway=own, entry=nat_entry(NODE_ADDRESS))
    verdict, reason, message = masquerade(run)
    assert (verdict, reason) == (HopVerdict.STALE, Reason.WRONG_MASQUERADE_ADDRESS)
    assert "as 172.30.0.13, not as 172.30.0.90" in message


def test_another_node_as_gateway_is_not_followed() -> None:
    other = gateway(ip_address("172.30.0.11"), None)
    verdict, reason, message = masquerade(masqueraded(settings=WITH_GATEWAYS, gateway=other))
    assert (verdict, reason) == (HopVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)
    assert "sends them through the node with address 172.30.0.11" in message


@pytest.mark.parametrize("entry", [gateway(None, None), gateway(NODE_ADDRESS, None)])
def test_a_policy_without_a_gateway_or_its_address_is_named(entry: Answer) -> None:
    run = masqueraded(FIREWALL, settings=WITH_GATEWAYS, gateway=entry)
    verdict, reason, message = masquerade(run)
    assert (verdict, reason) == (HopVerdict.BROKEN, Reason.NO_EGRESS_GATEWAY)
    assert "an egress gateway policy applies to packets from" in message
    assert diagnose(run).reason is Reason.NO_EGRESS_GATEWAY


def test_exceptions_of_the_ip_masq_agent_keep_the_pod_s_address() -> None:
    verdict, _, message = masquerade(masqueraded(settings=WITH_EXCEPTIONS, exception=looked_up("00")))
    assert verdict is HopVerdict.OK
    assert message == "packets keep the pod's address, by an exception of the ip-masq-agent, as configured"
    verdict, _, message = masquerade(masqueraded(settings=WITH_EXCEPTIONS))
    assert message == "cil_to_netdev masquerades packets"
