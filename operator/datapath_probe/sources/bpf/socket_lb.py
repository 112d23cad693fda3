"""Socket load balancing: the program that translates the destination of sockets, and whether it is attached to the
cgroup of all processes of a node.

Source: Cilium 1.14–1.20 `pkg/socketlb/cgroup.go`: a pinned link; or no link, if an earlier version attached the program
directly or Linux is older than 5.7. bpftool 7.5 `link show`, `prog show`.
"""

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Answer, Unavailable
from ..parsing import Json, failed, parser

PROGRAM = "cil_sock4_connect"
_KERNEL_NAME = PROGRAM[:15]


def link(node: str) -> Fact:
    """The link of the program at the cgroup."""
    return Fact.of(FactKind.CGROUP_PROGRAM_LINK, node, program=PROGRAM)


def program(node: str) -> Fact:
    """The program by its name, however it is attached. A program that is not attached does not stay loaded."""
    return Fact.of(FactKind.PROGRAMS_BY_NAME, node, name=_KERNEL_NAME)


@parser("bpftool link show", exit_codes=range(256))  # for a single link the exit code is an arbitrary errno
def parse_link(answer: Answer) -> bool | Absent | Unavailable:
    """Whether the link is still attached to a cgroup; absent if none is pinned."""
    shown = Json.parse(answer.stdout).only()
    if shown["error"]:
        gone = "No such file or directory" in shown["error"].text()
        return Absent() if gone else failed(answer, "bpftool link show")
    return shown["cgroup_id"].integer() != 0


@parser("bpftool prog show", exit_codes=range(256))
def parse_program(answer: Answer) -> bool | Unavailable:
    """Whether the kernel has the program. If it has none, bpftool prints nothing and fails."""
    if answer.exit_code:
        said = answer.stdout.strip() or answer.stderr.strip()
        return failed(answer, "bpftool prog show") if said else False
    return any(shown["id"].integer() for shown in Json.parse(answer.stdout).all())
