"""Whether the agent's programs for socket load balancing are attached to what the source's sockets pass: its cgroup, or
one above it. A program that is attached to another cgroup translates nothing there.

In: a context. Out: a missing program, or one that the agent does not hold and that runs before its own. Called by the
checks of `service-translation` and of the path to a name server.
Source: Cilium 1.18 `pkg/socketlb/cgroup.go`, `bpf/bpf_sock.c`; cilium#48420, #27900, #15137.
"""

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.parameters import is_uid
from ...evidence.reading import Absent, Unavailable
from ...plan.path import socket_lb_of
from ...sources.bpf import socket_lb
from ...sources.bpf.bpftool import is_program
from ...sources.bpf.socket_lb import CgroupLink, PodSockets, SocketProgram
from ...sources.client_report import ClientReport
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import if_expected
from ..finding.hop_check import Contradiction


def socket_lb_fault(context: CheckContext) -> Contradiction | None:
    """A program without which the source's sockets connect, or send queries, to untranslated addresses."""
    if not socket_lb_of(context.plan, context.config) or not is_uid(context.source.pod.uid):
        return None
    family = context.plan.family
    names = socket_lb.all_programs(family) if context.outcome.met is False else (socket_lb.connect(family),)
    return next(filter(None, [_fault(context, name) for name in names]), None)


def sockets_unread(context: CheckContext) -> Unavailable | None:
    """Why it is unknown, after a failure, whether the source's sockets are translated."""
    used = socket_lb_of(context.plan, context.config)
    if not used or context.outcome.met is not False or not is_uid(context.source.pod.uid):
        return None
    link = context.reader.read(
        socket_lb.link(context.source.node.name, socket_lb.connect(context.plan.family)), socket_lb.parse_link
    )
    sockets = context.reader.read(_sockets_fact(context), socket_lb.parse_of_pod)
    unread = (one for one in (link, sockets) if isinstance(one, Unavailable))
    return next((one for one in unread if if_expected(one)), None)


def _fault(context: CheckContext, name: str) -> Contradiction | None:
    """If the programs can't be read, none is reported: most runs show whether sockets are translated."""
    node = context.source.node.name
    of_link, of_pod = socket_lb.link(node, name), _sockets_fact(context)
    link = context.reader.read(of_link, socket_lb.parse_link)
    sockets = context.reader.read(of_pod, socket_lb.parse_of_pod)
    if isinstance(link, Unavailable):
        return None
    if isinstance(link, CgroupLink) and not link.attached:
        return _missing(context, name, "its link is detached", (of_link,))
    if isinstance(sockets, Unavailable) or (sockets.cgroup is None and not _is_there(sockets, name, link)):
        return _unloaded(context, name, of_link) if isinstance(link, Absent) else None
    passed = [one for one in sockets.programs if is_program(one.name, name)]
    rests_on = (of_link, of_pod)
    if not passed:
        where = f"attached to a cgroup that the processes of pod {_pod(context)} are not in"
        return _missing(context, name, where, rests_on)
    own = link.program_id if isinstance(link, CgroupLink) else passed[-1].id
    return None if passed[0].id == own else _another(context, name, passed, own, rests_on)


def _unloaded(context: CheckContext, name: str, of_link: Fact) -> Contradiction | None:
    """A program without a pinned link that is not even loaded: an agent that was upgraded may keep one without."""
    of_program = socket_lb.program(context.source.node.name, name)
    loaded = context.reader.read(of_program, socket_lb.parse_program)
    is_loaded = isinstance(loaded, Unavailable) or loaded
    return None if is_loaded else _missing(context, name, "it is not loaded", (of_link, of_program))


def _is_there(sockets: PodSockets, name: str, link: CgroupLink | Absent) -> bool:
    return any(
        is_program(one.name, name) and (isinstance(link, Absent) or one.id == link.program_id)
        for one in sockets.programs
    )


def _missing(context: CheckContext, name: str, why: str, rests_on: tuple[Fact, ...]) -> Contradiction:
    node = context.source.node.name
    connects = name == socket_lb.connect(context.plan.family)
    effect = "connect" if connects else "send DNS queries"
    message = f"{name} on {node} is {why}: sockets {effect} to untranslated addresses"
    if not why.startswith("attached"):
        message = f"{name} is not attached on {node}, {why}: sockets {effect} to untranslated addresses"
    harms = connects or _is_unresolved(context)
    return Contradiction(Reason.PROGRAM_MISSING, message, (Defect.NOT_TRANSLATED,) if harms else (), rests_on)


def _another(
    context: CheckContext, name: str, passed: list[SocketProgram], own: int, rests_on: tuple[Fact, ...]
) -> Contradiction:
    first, pod = passed[0].id, _pod(context)
    node = context.source.node.name
    after = "before" if any(one.id == own for one in passed) else "instead of"
    message = (
        f"program {first} ({name}) runs for the sockets of pod {pod} on {node} {after} the agent's own, program {own}: "
        "no link of the agent holds it"
    )
    harmless = context.connection.chosen in context.plan.backends
    return Contradiction(Reason.FOREIGN_PROGRAM, message, () if harmless else (Defect.NOT_HELD,), rests_on)


def _sockets_fact(context: CheckContext) -> Fact:
    node = context.source.node.name
    of_node = context.agent_config(node)
    config = context.config if isinstance(of_node, Unavailable) else of_node
    return socket_lb.of_pod(node, config.cgroup_root, context.source.pod.uid)


def _is_unresolved(context: CheckContext) -> bool:
    report = context.report
    return isinstance(report, ClientReport) and report.timings.name_lookup == 0


def _pod(context: CheckContext) -> str:
    return f"{context.source.pod.namespace}/{context.source.pod.name}"
