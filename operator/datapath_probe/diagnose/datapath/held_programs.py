"""Whether the programs with Cilium's names at a device are those that its agent holds: a name proves nothing.

An agent updates the links that it finds pinned, or the filter of its priority. If it does not find them, because the
BPF file system was mounted again, pins were moved, or its priority changed, it attaches its programs a second time. The
old ones run first: requests may still succeed, until a tail call or a map of theirs is gone.

In: a context, a hook, and the programs there. Out: a program that the agent does not hold. Called by the checks for the
devices of their hops.
Source: Cilium 1.16–1.20 `pkg/datapath/loader/{tc,tcx,netkit,xdp,paths}.go`; cilium#44194, #47847, #36172.
"""

from collections.abc import Sequence

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.parameters import is_name
from ...evidence.reading import Absent, Unavailable
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import AttachKind, Attachment, PinnedLink
from ...sources.iproute2 import tc_filters
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction
from ..lookup.attached_programs import Hook

_OWN = "cil_"
_XDP_ENTRY = "cil_xdp_entry"
_Link = PinnedLink | Absent | Unavailable


def not_held(
    context: CheckContext, hook: Hook, chain: Sequence[Attachment], defect: Defect = Defect.NOT_HELD
) -> Fault:
    """A program with a name of Cilium's that neither a link nor a filter of the agent holds. `defect`: what it may do
    to packets if it runs first.
    """
    own = [one for one in chain if one.program.startswith(_OWN)]
    filters = [one for one in own if one.attach is AttachKind.TC]
    linked = [one for one in own if one.attach is not AttachKind.TC and is_name(one.program)]
    if linked:
        return _by_links(context, hook, linked, filters, defect)
    return _by_priority(context, hook, filters, defect) if len(filters) > 1 else None


def other_xdp_program(context: CheckContext, hook: Hook, chain: Sequence[Attachment]) -> Fault:
    """A program that XDP runs on the device, although the agent has a link of its own one there."""
    running = [one for one in chain if one.attach is AttachKind.XDP]
    link = context.reader.read(hook.link(_XDP_ENTRY), bpftool.parse_link) if running else None
    if not isinstance(link, PinnedLink) or link.program_id in [one.program_id for one in running]:
        return None
    message = (
        f"{_at(running[0])} on {hook.node}, program {running[0].program_id} runs, "
        f"but the agent's own {_XDP_ENTRY} is program {link.program_id}"
    )
    rests_on = (hook.attached, hook.link(_XDP_ENTRY))
    return Contradiction(Reason.FOREIGN_PROGRAM, message, (Defect.NOT_HELD,), rests_on)


def _by_links(
    context: CheckContext,
    hook: Hook,
    linked: Sequence[Attachment],
    filters: Sequence[Attachment],
    defect: Defect,
) -> Fault:
    """With tcx and netkit, the agent pins a link of each program. tc filters run after all of these, or never."""
    if [one.link_id for one in (*linked, *filters)] == [None]:
        return None  # attached without a link, or listed by a bpftool that prints none
    links = {one: context.reader.read(_link_of(hook, one), bpftool.parse_link) for one in linked}
    shows_links = any(one.link_id is not None for one in linked)
    others = [one for one, link in links.items() if not _holds(link, one, by_id=shows_links)]
    held = next((one for one in linked if one not in others), None)
    extra = next(iter((*others, *filters)), None)
    if extra is None:
        return None
    link = links.get(extra)
    if isinstance(link, Unavailable):
        return None if len(linked) == 1 else if_expected(link)
    if isinstance(link, Absent) and isinstance(context.layout(hook.node), Unavailable):
        return None  # other versions may pin links elsewhere, or attach programs without one
    rests_on = (hook.attached, *(_link_of(hook, one) for one in linked))
    if held is None:
        alone = isinstance(link, Absent) and len(linked) == 1 and not filters
        message = _instead(hook, extra, link, len(linked))
        return Contradiction(Reason.FOREIGN_PROGRAM, message, () if alone else (defect,), rests_on)
    if linked.index(held) < (linked.index(extra) if extra in linked else len(linked)):
        return Contradiction(Reason.FOREIGN_PROGRAM, _behind(hook, extra, held), rests_on=rests_on)
    message = _before(hook, extra, held, "link")
    return Contradiction(Reason.FOREIGN_PROGRAM, message, (defect,), rests_on)


def _by_priority(context: CheckContext, hook: Hook, filters: Sequence[Attachment], defect: Defect) -> Fault:
    """With tc, the agent replaces the filter of its priority, and should leave no other."""
    fact = tc_filters.fact(hook.node, hook.device, hook.direction)
    priorities, config = context.reader.read(fact, tc_filters.parse_own), context.agent_config(hook.node)
    if isinstance(priorities, Unavailable):
        return if_expected(priorities)
    if isinstance(config, Unavailable):
        return if_expected(config)
    own = (
        one for one, priority in zip(filters, priorities, strict=False) if priority == config.filter_priority
    )
    held = next(own, None)
    rests_on = (hook.attached, fact)
    if held is filters[0]:
        return Contradiction(Reason.FOREIGN_PROGRAM, _behind(hook, filters[1], held), rests_on=rests_on)
    message = _before(hook, filters[0], held, f"filter of priority {config.filter_priority}")
    return Contradiction(Reason.FOREIGN_PROGRAM, message, (defect,), rests_on)


def _holds(link: _Link, attached: Attachment, *, by_id: bool) -> bool:
    """Whether the link attaches this program. It stays the same when its program is replaced."""
    if not isinstance(link, PinnedLink):
        return False
    return link.id == attached.link_id if by_id else link.program_id == attached.program_id


def _link_of(hook: Hook, attached: Attachment) -> Fact:
    """Where the link of this program belongs. The kernel may have cut the name."""
    is_expected = bool(hook.program) and bpftool.is_program(attached.program, hook.program)
    return hook.link(hook.program if is_expected else attached.program)


def _before(hook: Hook, first: Attachment, held: Attachment | None, holder: str) -> str:
    own = f"the agent's own, program {held.program_id}" if held else "all others"
    return f"{_named(first)} runs before {own}, {_at(first)} on {hook.node}, and no {holder} of the agent holds it"


def _behind(hook: Hook, extra: Attachment, held: Attachment) -> str:
    return (
        f"{_named(extra)} is attached behind the agent's own, program {held.program_id}, {_at(extra)} on {hook.node}: "
        "it takes over when that is detached"
    )


def _instead(hook: Hook, runs: Attachment, link: _Link | None, times: int) -> str:
    where = f"{_named(runs)} runs {_at(runs)} on {hook.node}"
    if not isinstance(link, PinnedLink):
        how_often = f"{where}, attached {times} times" if times > 1 else where
        return f"{how_often}, but the agent has no link of it, and attaches another one when it restarts"
    if link.ifindex == runs.ifindex:
        return f"{where}, but the agent's own link there is that of program {link.program_id}"
    state = "attached to another device" if link.ifindex else "detached"
    return f"{where}, but the agent's own link of it, with program {link.program_id}, is {state}"


def _named(attached: Attachment) -> str:
    by = f", link {attached.link_id}" if attached.link_id else ""
    return f"program {attached.program_id} ({attached.program}{by})"


def _at(attached: Attachment) -> str:
    return f"at {attached.kind} of {attached.device}"
