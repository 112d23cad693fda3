"""Socket load balancing: the programs that translate the addresses of sockets, and those that the sockets of a pod
pass: programs attached to the pod's cgroup or to one above it.

Source: Cilium 1.14–1.20 `pkg/socketlb/cgroup.go`: a pinned link of each program; or no link, if an earlier version
attached the program directly or Linux is older than 5.7. Linux `kernel/bpf/cgroup.c` (effective programs); bpftool 7.5
`link show`, `prog show`, `cgroup show`; kubelet `pkg/kubelet/cm` (names of the cgroups of pods).
"""

from dataclasses import dataclass

from ...addresses import IpFamily
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Answer, Unavailable
from ..parsing import Json, failed, parser


def connect(family: IpFamily) -> str:
    """The program for connections."""
    return f"cil_sock{family.value}_connect"


def all_programs(family: IpFamily) -> tuple[str, ...]:
    """The programs for connections, and for the queries of resolvers that do not connect their sockets."""
    return connect(family), f"cil_sock{family.value}_sendmsg", f"cil_sock{family.value}_recvmsg"


_KERNEL_NAME_LENGTH = 15


@dataclass(frozen=True, slots=True)
class CgroupLink:
    """A pinned link. `attached`: False if its cgroup is gone, or it was detached."""

    program_id: int
    attached: bool


@dataclass(frozen=True, slots=True)
class SocketProgram:
    """A program that sockets pass."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class PodSockets:
    """The programs that the pod's sockets pass, in order for each kind of call. `cgroup`: that of the pod; None if none
    was found: then the programs are those of the root, which all sockets pass.
    """

    cgroup: str | None
    programs: tuple[SocketProgram, ...]


def link(node: str, program: str) -> Fact:
    """The link of the program at the cgroup."""
    return Fact.of(FactKind.CGROUP_PROGRAM_LINK, node, program=program)


def program(node: str, name: str) -> Fact:
    """The program by its name, however it is attached. A program that is not attached does not stay loaded."""
    return Fact.of(FactKind.PROGRAMS_BY_NAME, node, name=name[:_KERNEL_NAME_LENGTH])


def of_pod(node: str, root: str, uid: str) -> Fact:
    """The programs that the pod's sockets pass. `root`: where the agent has mounted cgroup v2."""
    return Fact.of(FactKind.CGROUP_PROGRAMS, node, root=root, pod=uid)


@parser("bpftool link show", exit_codes=range(256))  # for a single link the exit code is an arbitrary errno
def parse_link(answer: Answer) -> CgroupLink | Absent | Unavailable:
    """The link; absent if none is pinned."""
    shown = Json.parse(answer.stdout).only()
    if shown["error"]:
        gone = "No such file or directory" in shown["error"].text()
        return Absent() if gone else failed(answer, "bpftool link show")
    return CgroupLink(shown["prog_id"].unsigned(32), shown["cgroup_id"].integer() != 0)


@parser("bpftool prog show", exit_codes=range(256))
def parse_program(answer: Answer) -> bool | Unavailable:
    """Whether the kernel has the program. If it has none, bpftool prints nothing and fails."""
    if answer.exit_code:
        said = answer.stdout.strip() or answer.stderr.strip()
        return failed(answer, "bpftool prog show") if said else False
    return any(shown["id"].integer() for shown in Json.parse(answer.stdout).all())


@parser("bpftool cgroup show")
def parse_of_pod(answer: Answer) -> PodSockets | Unavailable:
    """The root and the pod's cgroup are printed, each followed by its programs, if it has any."""
    found: list[tuple[str, tuple[SocketProgram, ...]]] = []
    for line in answer.stdout.decode().splitlines():
        if line.startswith("/"):
            found.append((line, ()))
        elif line.strip():
            if not found:
                raise ValueError("programs without a cgroup")
            shown = Json.parse(line)
            if any(one["error"] for one in shown.all()):
                return failed(answer, "bpftool cgroup show")
            found[-1] = (found[-1][0], tuple(map(_program, shown)))
    if not found:
        raise ValueError("no cgroup")
    (_, of_root), *of_pods = found
    return PodSockets(*of_pods[0]) if of_pods else PodSockets(None, of_root)


def _program(shown: Json) -> SocketProgram:
    return SocketProgram(shown["id"].unsigned(32), shown["name"].text(""))
