"""Output of bpftool that the recorded lab does not contain: derived from its sources, or observed elsewhere."""

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Absent, Unavailable
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.bpf.bpftool import AttachKind, Attachment, Direction, PinnedLink
from unit.sources.golden import printed

INGRESS, EGRESS = Direction.INGRESS, Direction.EGRESS


def attached(entries: str, xdp: str = "") -> object:
    """The parsed output of `bpftool net show`."""
    return bpftool.parse_attached(printed(f'[{{"xdp":[{xdp}],"tc":[{entries}],"flow_dissector":[]}}]'))


def test_classic_tc_uses_other_names() -> None:
    entry = '{"devname":"lxc1","ifindex":9,"kind":"clsact/%s","name":"%s-lxc1","id":%d}'
    assert attached(f"{entry % ('ingress', 'cil_from_container', 7)},{entry % ('egress', 'other', 8)}") == (
        Attachment("lxc1", 9, "clsact/ingress", INGRESS, AttachKind.TC, "cil_from_container", 7),
        Attachment("lxc1", 9, "clsact/egress", EGRESS, AttachKind.TC, "other", 8),
    )


def test_directions_of_netkit_are_as_seen_from_the_host() -> None:
    entry = '{"devname":"lxc1","ifindex":9,"kind":"netkit/%s","name":"p","prog_id":7}'
    assert attached(f"{entry % 'peer'},{entry % 'primary'}") == (
        Attachment("lxc1", 9, "netkit/peer", INGRESS, AttachKind.NETKIT, "p", 7),
        Attachment("lxc1", 9, "netkit/primary", EGRESS, AttachKind.NETKIT, "p", 7),
    )


def test_xdp_comes_first_and_can_be_several() -> None:
    one = '{"devname":"eth0","ifindex":2,"mode":"driver","id":5}'
    modes = '[{"mode":"generic","id":6},{"mode":"offload","id":7}]'
    several = f'{{"devname":"eth1","ifindex":3,"multi_attachments":{modes}}}'
    foreign = '{"devname":"eth0","ifindex":2,"kind":"tcx/ingress","name":"f","prog_id":8}'
    assert attached(foreign, xdp=f"{one},{several}") == (
        Attachment("eth0", 2, "xdp/driver", INGRESS, AttachKind.XDP, "", 5),
        Attachment("eth1", 3, "xdp/generic", INGRESS, AttachKind.XDP, "", 6),
        Attachment("eth1", 3, "xdp/offload", INGRESS, AttachKind.XDP, "", 7),
        Attachment("eth0", 2, "tcx/ingress", INGRESS, AttachKind.TCX, "f", 8),
    )


def test_program_names_may_be_cut_by_the_kernel() -> None:
    assert bpftool.is_program("cil_from_container", "cil_from_container")
    assert bpftool.is_program("cil_from_contai", "cil_from_container")
    assert not bpftool.is_program("cil_from_cont", "cil_from_container")
    assert not bpftool.is_program("cil_from_overla", "cil_from_container")


def test_a_pinned_link_may_be_detached_or_have_no_device() -> None:
    detached = '{"id":1,"type":"tcx","prog_id":2,"devname":"(detached)","ifindex":0,"attach_type":"x"}'
    assert bpftool.parse_link(printed(detached, exit_code=255)) == PinnedLink(1, 2, 0)
    assert bpftool.parse_link(printed('{"id":1,"type":11,"prog_id":2}')) == PinnedLink(1, 2, None)


def test_an_unreadable_pinned_link_is_unavailable() -> None:
    denied = '{"error":"bpf obj get (/sys/fs/bpf/cilium/x): Permission denied"}'
    result = bpftool.parse_link(printed(denied, exit_code=255))
    assert isinstance(result, Unavailable)
    assert result.reason == EvidenceError.COMMAND_FAILED


def test_null_means_absent_also_in_older_versions_of_bpftool() -> None:
    assert bpftool.parse_call(printed("null\n", exit_code=254)) == Absent()
    assert bpftool.parse_call(printed("null\n", exit_code=255)) == Absent()


@pytest.mark.parametrize(
    ("stdout", "exit_code"),
    [
        ("null", 0),
        ("null", 1),
        ("", 254),
        ("nullnull", 254),
        ('{"error":"null"}', 254),
        ('{"key":["0x00"],"value":["0x01","0x02"]}', 0),  # two bytes, not four
        ('{"key":["0x00"],"value":["0x01","0x02","0x03","0x100"]}', 0),
        ('{"key":["0x00"],"value":["0x01","0x02","0x03","-0x1"]}', 0),
        ('{"key":["0x00"],"values":[{"cpu":0,"value":["0x01","0x02","0x03","0x04"]}]}', 0),
    ],
)
def test_anything_but_a_value_or_null_is_unavailable(stdout: str, exit_code: int) -> None:
    assert isinstance(bpftool.parse_call(printed(stdout, exit_code)), Unavailable)
