"""What commands that share a process print is what each would print alone."""

import pytest

from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.nodes.agent.batches import Group, group_of, line, results
from datapath_probe.nodes.agent.processes import Ended
from unit.nodes.samples import NODE

LINKS = [Fact.of(FactKind.LINK, NODE, device=name) for name in ("eth0", "eth1", "eth2")]
IP = Group(("ip", "-j", "-d", "-batch", "-"))


def ended(stdout: bytes, stderr: bytes = b"", exit_code: int = 0) -> Ended:
    return Ended(exit_code, stdout, stderr, 0.0, 0.01, truncated=False)


@pytest.mark.parametrize(
    ("fact", "argv", "namespace", "text"),
    [
        (LINKS[0], IP.argv, "", "link show dev eth0"),
        (
            Fact.of(FactKind.LINK, NODE, device="eth0", namespace="cni-1"),
            IP.argv,
            "cni-1",
            "link show dev eth0",
        ),
        (Fact.of(FactKind.ROUTES, NODE, family=6), ("ip", "-j", "-6", "-batch", "-"), "", "route show"),
        (
            Fact.of(FactKind.ROUTE, NODE, destination="10.0.0.1", mark=512),
            ("ip", "-j", "-batch", "-"),
            "",
            "route get 10.0.0.1 mark 512",
        ),
        (
            Fact.of(FactKind.PROGRAM, NODE, id=7),
            ("bpftool", "-j", "batch", "file", "-"),
            "",
            "prog show id 7",
        ),
    ],
)
def test_commands_of_one_tool_share_a_process(
    fact: Fact, argv: tuple[str, ...], namespace: str, text: str
) -> None:
    assert group_of(fact) == Group(argv, namespace)
    if argv[0] == "ip":
        assert line(fact) == text


@pytest.mark.parametrize(
    "fact",
    [
        Fact.of(FactKind.XFRM_POLICIES, NODE),  # prints no JSON
        Fact.of(FactKind.SOCKETS, NODE, port=80),
        Fact.of(FactKind.ENDPOINT_ENTRY, NODE, address="10.0.0.1"),
        Fact.of(FactKind.ATTACHED_PROGRAMS, NODE, device="eth0", namespace="cni-1"),
        Fact.of(FactKind.UPTIME, NODE),
    ],
    ids=str,
)
def test_others_do_not(fact: Fact) -> None:
    assert group_of(fact) is None


def test_each_command_of_ip_prints_a_line() -> None:
    assert results(IP, LINKS, ended(b"[1]\n[2]\n[3]\n")) == [(b"[1]\n", 0), (b"[2]\n", 0), (b"[3]\n", 0)]


@pytest.mark.parametrize("begun", [b"", b"[2]\n"])
def test_what_precedes_a_command_that_fails_is_kept(begun: bytes) -> None:
    failed = ended(b"[1]\n" + begun, b'Device "eth1" does not exist.\nCommand failed -:2\n', 1)
    assert results(IP, LINKS, failed) == [(b"[1]\n", 0)]


@pytest.mark.parametrize(
    "odd",
    [
        ended(b"[1]\n[2]\n"),
        ended(b"[1]\n[2]\n[3]\n[4]\n"),
        ended(b"[1]\n[2]\n[3]\n", b"a warning"),
        ended(b"[1]\n", b"Command failed -:3\n", 1),
        ended(b"[1]\n[2]\n[3]\n", b"Command failed -:1\n", 1),
        ended(b"", b"Killed", -9),
        ended(b""),
    ],
    ids=str,
)
def test_what_can_not_be_assigned_is_asked_again(odd: Ended) -> None:
    assert results(IP, LINKS, odd) == []
