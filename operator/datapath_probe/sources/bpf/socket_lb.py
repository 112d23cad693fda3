"""Socket load-balancing: the program that translates what sockets connect to, and whether it is attached to the cgroup
that all of a node's processes are in.

Source: Cilium 1.14–1.20 `pkg/socketlb/cgroup.go`: a pinned link; or without one, where an earlier version attached the
program so, or Linux before 5.7 runs. bpftool 7.5 `link show`, `prog show`.
"""

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Answer, Unavailable
from ..parsing import Json, failed, parser

PROGRAM = "cil_sock4_connect"
_KERNEL_NAME = PROGRAM[:15]


def link(node: str) -> Fact:
    """The link that holds the program at the cgroup."""
    return Fact.of(FactKind.CGROUP_PROGRAM_LINK, node, program=PROGRAM)


def program(node: str) -> Fact:
    """The program by its name, however it is attached: nobody keeps one that is not."""
    return Fact.of(FactKind.PROGRAMS_BY_NAME, node, name=_KERNEL_NAME)


@parser("bpftool link show", exit_codes=range(256))  # of one link, it is whatever errno happens to be
def parse_link(answer: Answer) -> bool | Absent | Unavailable:
    """Whether the link is at a cgroup still; absent where nothing is pinned."""
    shown = Json.parse(answer.stdout).only()
    if shown["error"]:
        gone = "No such file or directory" in shown["error"].text()
        return Absent() if gone else failed(answer, "bpftool link show")
    return shown["cgroup_id"].integer() != 0


@parser("bpftool prog show", exit_codes=range(256))
def parse_program(answer: Answer) -> bool | Unavailable:
    """Whether the kernel has such a program: of none, bpftool prints nothing and fails."""
    if answer.exit_code:
        said = answer.stdout.strip() or answer.stderr.strip()
        return failed(answer, "bpftool prog show") if said else False
    return any(shown["id"].integer() for shown in Json.parse(answer.stdout).all())
