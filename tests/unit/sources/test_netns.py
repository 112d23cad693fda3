"""Network namespaces of pods, with cases that the recorded lab does not have."""

from ipaddress import ip_address

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources import netns
from unit.sources.golden import printed

FOLDER = "/var/run/cilium/netns"
ONE = f'{FOLDER}/cni-1\n[{{"ifname":"eth0","addr_info":[{{"local":"10.0.0.1"}}]}}]\n'


def test_namespaces_that_were_deleted_meanwhile_are_left_out() -> None:
    gone = f"{FOLDER}/cni-2\n"
    stderr = f"nsenter: cannot open {FOLDER}/cni-2: No such file or directory\n"
    assert netns.parse(printed(gone + ONE + gone, exit_code=1, stderr=stderr)) == {
        ip_address("10.0.0.1"): ("cni-1",)
    }


def test_interfaces_without_addresses_and_unusual_names_are_skipped() -> None:
    empty = f'{FOLDER}/cni-2\n[{{}},{{"ifname":"lo","addr_info":[]}}]\n'
    strange = f'{FOLDER}/my ns\n[{{"ifname":"eth0","addr_info":[{{"local":"10.0.0.2"}}]}}]\n'
    assert netns.parse(printed(empty + ONE + strange)) == {ip_address("10.0.0.1"): ("cni-1",)}


@pytest.mark.parametrize(
    ("stdout", "exit_code", "stderr"),
    [
        ("", 1, f"find: '{FOLDER}': No such file or directory\n"),
        (f"{FOLDER}/cni-1\n", 0, "find: 'nsenter': No such file or directory\n"),
        (
            f"{FOLDER}/cni-1\n",
            0,
            "nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted\n",
        ),
    ],
)
def test_if_no_namespace_can_be_entered_there_is_no_answer(stdout: str, exit_code: int, stderr: str) -> None:
    result = netns.parse(printed(stdout, exit_code, stderr))
    assert isinstance(result, Unavailable)
    assert result.reason == EvidenceError.COMMAND_FAILED
    assert stderr.strip() in result.message


def test_all_namespaces_with_the_same_address_are_listed() -> None:
    other = ONE.replace("cni-1", "cni-2")
    assert netns.parse(printed(ONE + other + other)) == {ip_address("10.0.0.1"): ("cni-1", "cni-2")}


def test_a_survey_lists_all_devices_with_their_peers_and_addresses() -> None:
    pair = '{"ifname":"eth0","link_index":15,"link_netnsid":0,"address":"C6:4D:80:8C:D5:44","addr_info":[]}'
    assert netns.survey("node1") != netns.find("node1")
    assert netns.parse_survey(printed(f"{ONE}{FOLDER}/cni-2\n[{pair}]\n")) == (
        netns.Device("cni-1", "eth0", None, "", (ip_address("10.0.0.1"),)),
        netns.Device("cni-2", "eth0", 15, "c6:4d:80:8c:d5:44", ()),
    )
    assert isinstance(netns.parse_survey(printed(f"{FOLDER}/cni-1\n", 0, "find: no nsenter\n")), Unavailable)


def test_a_node_without_pods_has_no_namespaces() -> None:
    assert netns.parse(printed("")) == {}


def test_addresses_outside_a_namespace_are_unparsable() -> None:
    assert isinstance(netns.parse(printed(ONE.partition("\n")[2])), Unavailable)
