"""With eBPF masquerading, `cil_to_netdev` at the exit's device gives packets the node's address."""

from dataclasses import replace

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.sources.agent import agent_config
from datapath_probe.sources.bpf import bpftool
from unit.diagnose.datapath.held_programs import finding, printed, twice
from unit.recorded import recorded

PROGRAM, DEVICE = "cil_to_netdev", "eth0"
OF_BPF = b"/tmp/cilium/config-map/enable-bpf-masquerade:true\n"
LINK = {"id": 9, "type": "tcx", "prog_id": 7}
NO_LINK = {"error": "bpf obj get (/sys/fs/bpf/cilium/…): No such file or directory"}


def masquerade(*attached: str, link: object) -> tuple[HopVerdict, Reason, str]:
    """The finding of hop `masquerade`, if Cilium masquerades with eBPF and these programs are at the device."""
    run = recorded("healthy-outside")
    node = run.plan.source.node.name
    settings = run.evidence.latest(agent_config.fact(node))
    assert isinstance(settings, Answer)
    tc = [
        {"devname": DEVICE, "ifindex": 2, "kind": "tcx/egress", "name": name, "prog_id": 7, "link_id": 9}
        for name in attached
    ]
    answers: dict[Fact, Reading] = {
        agent_config.fact(node): replace(settings, stdout=settings.stdout + OF_BPF),
        bpftool.attached(node, DEVICE): printed([{"xdp": [], "tc": tc}]),
        bpftool.device_link(node, DEVICE, PROGRAM): printed(link, exit_code=255 if link is NO_LINK else 0),
    }
    return finding(diagnose(twice(run, answers)), HopName.MASQUERADE)


def test_an_attached_program_masquerades() -> None:
    verdict, _, message = masquerade(PROGRAM, link={**LINK, "devname": DEVICE, "ifindex": 2})
    assert (verdict, message) == (HopVerdict.OK, "cil_to_netdev masquerades packets")


def test_without_the_program_packets_keep_the_address_of_the_pod() -> None:
    verdict, reason, message = masquerade(link=NO_LINK)
    assert (verdict, reason) == (HopVerdict.STALE, Reason.PROGRAM_MISSING)
    assert "cil_to_netdev, which masquerades packets, is not attached to eth0" in message


def test_a_bpftool_that_lists_no_tcx_programs_shows_nothing() -> None:
    verdict, reason, message = masquerade(link=LINK)
    assert (verdict, reason) == (HopVerdict.UNKNOWN, Reason.UNSUPPORTED_VERSION)
    assert "too old to list tcx programs" in message
