"""Programs and filters of another make at a device of the path, which can keep packets from going on: XDP, tcx, tc.

That one is there proves nothing: most watch. So it counts, after a failed request, if its code can drop packets or take
them, or let them pass by Cilium's own program. Called by the checks, each for the devices that its hop owns. Where the
code can't be read, whatever comes before Cilium's own program counts.
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
    """What comes before Cilium's program in its chain; it explains a loss if its code may keep a packet from going on.
    None if Cilium's comes first.
    """
    before = list(takewhile(lambda attached: not bpftool.is_program(attached.program, program), chain))
    if not before:
        return None
    first = before[0]
    message = (
        f"program {first.program_id} ({first.program or 'XDP'}) comes before {program} at {first.device} on {node}, "
        "and can take packets first"
    )
    can_take = any(_takes(context, node, one, before_another=True) is not False for one in before)
    rests_on = (bpftool.attached(node, first.device),)
    return Contradiction(Reason.FOREIGN_PROGRAM, message, (Defect.BYPASSED,) if can_take else (), rests_on)


def foreign_program_first(
    context: CheckContext, node: str, program: str, chain: Sequence[Attachment]
) -> Contradiction | None:
    """The same after a failed request, and only if it explains the loss: elsewhere than at a pod's device, others may
    well come first.
    """
    first = program_before(context, node, program, chain) if context.outcome.met is False else None
    return first if first and first.defects else None


def foreign_programs_dropping(
    context: CheckContext,
    node: str,
    device: str,
    direction: Direction,
    defect: Defect = Defect.LOST,
    namespace: str | None = None,
) -> Fault:
    """A program that is not Cilium's at this side of a device and drops packets or takes them; inside a pod by its
    namespace. One that is found counts, also where another's code can't be read.
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
        takes = _takes(context, node, program, before_another=before_own)
        if isinstance(takes, Unavailable):
            unread = unread or if_expected(takes)
        elif takes:
            name = program.program or "XDP"
            message = (
                f"program {program.program_id} ({name}) at {program.kind} of {device} on {node} is not Cilium's, "
                "and drops packets or takes them"
            )
            rests_on = (fact, bpf_returns.fact(node, program.program_id))
            return Contradiction(Reason.FOREIGN_PROGRAM, message, (defect,), rests_on)
    if any(program.attach is not AttachKind.TC and program.program.startswith(_OWN) for program in chain):
        return unread  # Cilium's own comes before all filters, and ends the chain
    return _filter(context, node, device, direction, defect, namespace) or unread


def _filter(
    context: CheckContext,
    node: str,
    device: str,
    direction: Direction,
    defect: Defect,
    namespace: str | None,
) -> Fault:
    """The same for filters of tc that are no programs, or classic ones. Asked where there is a place for them."""
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
    name = f"a filter of tc ({first.kind}, pref {first.preference})"
    message = f"{name} at {direction} of {device} on {node} {first.does}"
    return Contradiction(Reason.NETFILTER_DROPS, message, (defect,), (fact,))


def _before_own(chain: Sequence[Attachment]) -> Iterator[tuple[Attachment, bool]]:
    """Those before Cilium's own, which ends the chain; or all. With each, whether Cilium's comes behind."""
    own = next((i for i, program in enumerate(chain) if program.program.startswith(_OWN)), None)
    for program in chain[:own]:
        yield program, own is not None


def _takes(
    context: CheckContext, node: str, program: Attachment, *, before_another: bool
) -> bool | Unavailable | None:
    """Whether the program's code can keep a packet from going on; None where that is not known."""
    values = context.reader.read(bpf_returns.fact(node, program.program_id), bpf_returns.parse)
    if isinstance(values, Unavailable):
        return values
    taken = bpf_returns.taken(values, program.attach, before_another=before_another)
    return None if taken is None else bool(taken)
