"""IPsec policies (XFRM) of nodes and pods that drop packets of a failed request: a policy that blocks them, or one that
requires a transformation that they do not have.

A policy counts only if the kernel has recorded that it was used. Called by `kernel_filters`.
Source: Linux 6.x `net/xfrm/xfrm_policy.c` (`__xfrm_policy_check`, `xfrm_lookup_with_ifid`), `net/ipv4/ip_forward.c`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...sources import kernel_counters
from ...sources.iproute2 import xfrm
from ...sources.iproute2.xfrm import Direction, Policy
from ...sources.packet import Match, Packet
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction

# What the kernel counts when it drops a packet.
_BLOCKED = {
    Direction.IN: "XfrmInPolBlock",
    Direction.FORWARD: "XfrmInPolBlock",
    Direction.OUT: "XfrmOutPolBlock",
}
_PLAIN, _NO_STATE, _NO_POLICY = "XfrmInTmplMismatch", "XfrmOutNoStates", "XfrmInNoPols"


def blocked(
    context: CheckContext,
    node: str,
    directions: Sequence[Direction],
    packet: Packet,
    defect: Defect,
    namespace: str | None = None,
) -> Fault:
    """What drops this packet in one of these directions, on the node or inside a pod. Unavailable if it is unknown
    whether a policy applies to it.
    """
    policies = context.reader.read(xfrm.policies(node, namespace), xfrm.parse_policies)
    if isinstance(policies, Unavailable):
        return if_expected(policies)
    kernel = _Kernel(context, node, namespace, policies, defect)
    faults = [fault for direction in directions if (fault := kernel.fault(direction, packet))]
    return next(
        (fault for fault in faults if isinstance(fault, Contradiction)), faults[0] if faults else None
    )


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The policies of one network namespace; `namespace` None: that of the node."""

    context: CheckContext
    node: str
    namespace: str | None
    policies: Sequence[Policy]
    defect: Defect

    def fault(self, direction: Direction, packet: Packet) -> Fault:
        """The policy that decides about the packet, if it drops it. Policies that may apply come before."""
        doubtful: Unavailable | None = None
        for policy in self.policies:
            match = xfrm.matches(policy, packet) if policy.direction == direction else Match.NO
            if match is Match.NO:
                continue
            drops = self._drops(policy, direction)
            if isinstance(drops, Unavailable):
                doubtful = doubtful or drops
            elif drops and match is Match.YES and doubtful is None:
                return self._contradiction(
                    f"an IPsec policy {self._where} drops the packets: {policy}, {drops}"
                )
            elif drops:
                message = (
                    f"an IPsec policy {self._where} drops packets, and whether it applies to these is unknown"
                )
                doubtful = doubtful or Unavailable(Reason.NOT_OBSERVED, f"{message}: {policy}, {drops}")
            if match is Match.YES:
                return doubtful
        return doubtful or self._by_default(direction)

    def _drops(self, policy: Policy, direction: Direction) -> str | Unavailable | None:
        """What shows that packets of this policy are dropped; None if they pass, or there were none."""
        if policy.blocks and policy.last_used:
            return f"last used {policy.last_used}{self._counted(_BLOCKED[direction])}"
        if policy.blocks or not policy.required:
            return None
        if direction is not Direction.OUT:
            return f"last used {policy.last_used}{self._counted(_PLAIN)}" if policy.last_used else None
        states = self.context.reader.read(xfrm.states(self.node, self.namespace), xfrm.parse_states)
        if isinstance(states, Unavailable):
            return if_expected(states)
        if all(any(state.serves(template) for state in states) for template in policy.required):
            message = f"an IPsec policy {self._where} encrypts packets, although Cilium does not: {policy}"
            return Unavailable(Reason.NOT_OBSERVED, message) if policy.last_used else None
        # without a state, the kernel does not record the use of the policy
        counted = self._counted(_NO_STATE)
        return f"for which there is no state{counted}" if counted else None

    def _by_default(self, direction: Direction) -> Fault:
        """What the kernel does with packets without a policy."""
        fact = xfrm.defaults(self.node, self.namespace)
        defaults = self.context.reader.read(fact, xfrm.parse_defaults)
        if isinstance(defaults, Unavailable) or direction not in defaults:
            return None
        counted = "" if direction is Direction.OUT else self._counted(_NO_POLICY)
        message = f"the default IPsec policy {self._where} drops packets without a policy: {direction} block{counted}"
        return Contradiction(Reason.XFRM_POLICY_DROPS, message, (self.defect,), (fact,))

    def _contradiction(self, message: str) -> Contradiction:
        rests_on = (xfrm.policies(self.node, self.namespace),)
        return Contradiction(Reason.XFRM_POLICY_DROPS, message, (self.defect,), rests_on)

    @property
    def _where(self) -> str:
        return f"inside the pod on {self.node}" if self.namespace else f"on {self.node}"

    def _counted(self, name: str) -> str:
        """The counter as words; "" if it is 0 or can't be read."""
        fact = kernel_counters.fact(self.node, self.namespace)
        counters = self.context.reader.read(fact, kernel_counters.parse)
        count = 0 if isinstance(counters, Unavailable) else counters.get(name, 0)
        return f" ({name} of /proc/net/xfrm_stat: {count})" if count else ""
