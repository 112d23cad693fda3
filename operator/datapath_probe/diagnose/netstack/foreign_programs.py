"""Programs and filters at a device of the path that are not Cilium's and can drop or redirect packets: XDP, tcx, tc.

Most such programs only observe packets. After a failed request, one counts if its code can drop or redirect packets, or
let them bypass Cilium's own program. If the code can't be read, every program before Cilium's own one counts. Called by
the checks for the devices of their hops.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...sources.bpf import bpf_returns, bpftool
from ...sources.bpf.bpftool import AttachKind, Attachment, Direction
from ...sources.iproute2 import qdisc, tc_filters
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction

_OWN = "cil_"


def program_before(
    context: CheckContext, node: str, program: str, chain: Sequence[Attachment]
) -> Contradiction | None:
    """A foreign program before Cilium's one in the chain, unless its code passes all packets on to that one."""
    before = takewhile(lambda attached: not attached.program.startswith(_OWN), chain)
    first = next((one for one in before if _may_intercept(context, node, one)), None)
    if first is None:
        return None
    message = (
        f"program {first.program_id} ({first.program or 'XDP'}) runs before {program} on {first.device} of {node}, "
        "and can drop or redirect packets first"
    )
    rests_on = (bpftool.attached(node, first.device),)
    return Contradiction(Reason.FOREIGN_PROGRAM, message, (Defect.BYPASSED,), rests_on)


def foreign_program_first(
    context: CheckContext, node: str, program: str, chain: Sequence[Attachment]
) -> Contradiction | None:
    """The same after a failed request: on devices other than a pod's, other programs may run first and drop some
    packets by intent.
    """
    return program_before(context, node, program, chain) if context.outcome.met is False else None


def foreign_programs_dropping(
    context: CheckContext,
    node: str,
    device: str,
    direction: Direction,
    defect: Defect = Defect.LOST,
    namespace: str | None = None,
) -> Fault:
    """A foreign program at this side of a device that drops or redirects packets; inside a pod, given its network
    namespace. A program that is found counts even if the code of another one can't be read.
    """
    if context.outcome.met is not False:
        return None
    fact = bpftool.attached(node, device, namespace)
    attached = context.reader.read(fact, bpftool.parse_attached)
    if isinstance(attached, Unavailable):
        return if_expected(attached)
    unread: Unavailable | None = None
    chain = [program for program in attached if program.direction is direction]
    for program, before_own in _before_own(chain):
        intercepts = _intercepts(context, node, program, before_another=before_own)
        if isinstance(intercepts, Unavailable):
            unread = unread or if_expected(intercepts)
        elif intercepts:
            name = program.program or "XDP"
            message = (
                f"program {program.program_id} ({name}) at {program.kind} of {device} on {node} is not Cilium's, "
                "and drops or redirects packets"
            )
            rests_on = (fact, bpf_returns.fact(node, program.program_id))
            return Contradiction(Reason.FOREIGN_PROGRAM, message, (defect,), rests_on)
    if any(program.attach is not AttachKind.TC and program.program.startswith(_OWN) for program in chain):
        return unread  # Cilium's own program runs before all filters, and ends the chain
    return _filter(context, node, device, direction, defect, namespace) or unread


def _filter(
    context: CheckContext,
    node: str,
    device: str,
    direction: Direction,
    defect: Defect,
    namespace: str | None,
) -> Fault:
    """The same for tc filters that are not eBPF programs. Read only if the device has a qdisc that can hold filters."""
    places = qdisc.losing_in_pod(node, namespace) if namespace else qdisc.losing(node)
    holding = context.reader.read(places, qdisc.parse_filtering)
    if isinstance(holding, Unavailable):
        return if_expected(holding)
    if device not in holding:
        return None
    fact = tc_filters.fact(node, device, direction, namespace)
    filters = context.reader.read(fact, tc_filters.parse)
    if isinstance(filters, Unavailable):
        return if_expected(filters)
    if not filters:
        return None
    first = filters[0]
    name = f"a tc filter ({first.kind}, pref {first.preference})"
    message = f"{name} at {direction} of {device} on {node} {first.does}"
    return Contradiction(Reason.NETFILTER_DROPS, message, (defect,), (fact,))


def _before_own(chain: Sequence[Attachment]) -> Iterator[tuple[Attachment, bool]]:
    """The programs before Cilium's own one, or all; each with whether Cilium's own one follows."""
    own = next((i for i, program in enumerate(chain) if program.program.startswith(_OWN)), None)
    for program in chain[:own]:
        yield program, own is not None


def _may_intercept(context: CheckContext, node: str, program: Attachment) -> bool:
    """Whether the program may keep a packet from the one after it. True if unknown."""
    return _intercepts(context, node, program, before_another=True) is not False


def _intercepts(
    context: CheckContext, node: str, program: Attachment, *, before_another: bool
) -> bool | Unavailable | None:
    """Whether the program's code can drop or redirect a packet; None if unknown."""
    values = context.reader.read(bpf_returns.fact(node, program.program_id), bpf_returns.parse)
    if isinstance(values, Unavailable):
        return values
    taken = bpf_returns.taken(values, program.attach, before_another=before_another)
    return None if taken is None else bool(taken)
