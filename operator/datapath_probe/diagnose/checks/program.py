"""Hop `source-program`: `cil_from_container` is attached where the pod's packets enter the node, and comes first.

Exercise 4. Source: Cilium 1.18 `pkg/datapath/loader/loader.go`, `tc.go`, `netkit.go`.
"""

from ...api.reasons import Reason
from ...cilium import bpftool
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ..case import Case
from ..findings import Finding, Rung
from ..judge import Contradiction

FROM_CONTAINER = "cil_from_container"
# Without the program, packets go to the host's stack; they may even arrive, but leave no entry on the source's node.
_BYPASSED = frozenset({Rung.NOTHING, Rung.RECEIVED, Rung.ANSWERED})


def check_source_program(case: Case, expected: ExpectedHop) -> Finding:
    """The program that puts a pod's packets under Cilium's care."""
    hop = case.hop(expected, FROM_CONTAINER)
    agent = case.agent_endpoint(case.source)
    if isinstance(agent, Unavailable):
        return hop.unknown(agent)
    device = agent.interface_name
    hop.object = f"{FROM_CONTAINER}@{device}"
    hop.intent(f"{FROM_CONTAINER} at the ingress of {device}", {"interface": device})
    question = bpftool.attached(expected.node, device)
    attached = case.lens.read(question, bpftool.parse_attached)
    if isinstance(attached, Unavailable):
        return hop.unknown(attached)
    if isinstance(attached, Absent):
        return hop.unknown(Unavailable(Reason.INTERFACE_MISSING, f"there is no interface {device}"))
    if case.connection.left:
        hop.observed("conntrack entries of this connection, which only this program writes")
    chain = [program for program in attached if program.direction is bpftool.Direction.INGRESS]
    hop.programmed(
        ", ".join(f"{program.program} ({program.kind})" for program in chain) or "nothing attached",
        {
            "programs": ", ".join(program.program for program in chain),
            "attach": chain[0].attach if chain else "",
            "programID": chain[0].program_id if chain else "",
        },
    )
    position = next(
        (i for i, program in enumerate(chain) if bpftool.is_program(program.program, FROM_CONTAINER)), None
    )
    if position is None:
        if case.connection.left and not attached:
            # a bpftool older than tcx lists nothing; the entries are better proof
            return hop.fine(f"{FROM_CONTAINER} has handled this connection")
        return hop.stale(
            Contradiction(
                Reason.PROGRAM_MISSING,
                f"{FROM_CONTAINER} is not attached to {device} on {expected.node}: packets bypass Cilium",
                _BYPASSED,
                (question,),
            )
        )
    if position > 0:
        return hop.stale(
            Contradiction(
                Reason.FOREIGN_PROGRAM_FIRST,
                f"{chain[0].program} comes before {FROM_CONTAINER} on {device} and can take packets first",
                frozenset({Rung.NOTHING}),
                (question,),
            )
        )
    return hop.fine(f"{FROM_CONTAINER} is attached by {chain[0].attach}")
