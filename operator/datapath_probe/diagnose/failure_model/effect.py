"""The vocabulary of the failure model: the defects of a hop, and their effects on packets."""

from dataclasses import dataclass
from enum import StrEnum

from ...api.reasons import Reason
from ...api.vocabulary import HopName
from .stage import Stage


class Defect(StrEnum):
    """What is wrong with a hop, by its effect on packets. A `Reason` names a problem for users; one reason can stand
    for several defects.
    """

    # in a device, a kernel or a packet filter
    LOST = "packets are lost"
    LATE = "packets are late or damaged"
    FILTERED = "a packet filter drops packets"
    HOST_ANSWERS_LOST = "replies of the node itself are lost"
    DATA_LOST = "packets that carry data are lost"
    PAIR_BROKEN = "the interface pair is broken"
    ROUTE_GONE = "the route to the pod is gone with its device"
    FRAMES_REFUSED = "frames have a destination MAC address other than the node's"
    LOST_INTO_POD = "packets to the pod are lost"
    LATE_INTO_POD = "packets to the pod are late or damaged"
    FILTERED_INTO_POD = "a packet filter drops packets to the pod"
    LOST_OUT_OF_POD = "packets from the pod are lost"
    LATE_OUT_OF_POD = "packets from the pod are late or damaged"
    FILTERED_OUT_OF_POD = "a packet filter drops packets from the pod"
    # programs
    BYPASSED = "packets bypass the program"
    NOT_HELD = "a program that the agent does not hold runs first"
    TAIL_CALL_MISSING = "the program lacks a tail call"
    NO_POLICY_PROGRAM = "the endpoint has no policy program"
    OTHER_ENDPOINTS_PROGRAM = "the policy program belongs to another endpoint"
    # Services
    NOT_TRANSLATED = "no backend is selected"
    NOT_TRANSLATED_BACK = "replies keep the backend's address"
    OTHER_BACKEND = "packets go to an address that is not a ready backend"
    # out of the cluster
    NOT_MASQUERADED = "packets leave with the pod's own address"
    WRONGLY_MASQUERADED = "packets leave with an address that is not the node's"
    # identity and location of a pod
    WRONG_IDENTITY = "the address has another identity"
    MISROUTED = "packets are sent to another node or device"
    TREATED_AS_LOCAL = "the destination is treated as an endpoint of this node"
    HANDED_TO_HOST = "packets are passed to the node's own stack"
    ROUTED_ELSEWHERE = "the node's stack has another route to its pod"
    WRONG_INTERFACE = "packets go to another interface"
    OTHER_ENDPOINT = "packets go to another endpoint"
    STALE_MAP = "programs use a map that is no longer updated"
    # policy
    DENIED = "policy denies packets"
    PROXIED = "packets are redirected to an L7 proxy"
    # objects that the maps of other nodes follow
    SOURCE_UNKNOWN = "the agent does not know the source pod"
    DESTINATION_UNKNOWN = "the agent does not know the destination pod"
    SOURCE_IDENTITY_WRONG = "the source pod has another identity"
    DESTINATION_IDENTITY_WRONG = "the destination pod has another identity"
    REQUESTS_MISROUTED = "requests are sent to another node"
    REPLIES_MISROUTED = "replies are sent to another node"
    # observed only, in the client's report and in events
    UNRESOLVED = "the name does not resolve"
    NO_ANSWER = "the application does not respond"
    WRONG_ANSWER = "the application sends an unexpected response"


class Fate(StrEnum):
    """What happens to packets."""

    LOST = "lost"
    DIVERTED = "diverted"
    PASSED = "passed on"


class Answer(StrEnum):
    """What a client receives from something other than the destination."""

    RST = "RST"
    ICMP_ERROR = "ICMP error"
    RESPONSE = "response"


_SHOWS_AS = {
    Answer.RST: frozenset({Reason.CONNECTION_REFUSED, Reason.CONNECTION_RESET}),
    Answer.ICMP_ERROR: frozenset[Reason](),  # the client reports it as a failed connection
    Answer.RESPONSE: frozenset({Reason.UNEXPECTED_STATUS, Reason.UNEXPECTED_BODY}),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a defect of a hop does to packets.

    `stages`: the stages where packets may leave their last trace; this hop is a candidate for every loss there.
    `further_stages`: more such stages, where the hop is a candidate only once the defect is found. `answers`,
    `responder`: what the client may receive instead of silence, and from what. `shows_as`: further reasons by which the
    defect may show at another hop. `judged_elsewhere`: the policy hops that judge these packets by a wrong identity, or
    never see them. `met_at`: the first hop where packets meet the defect, if it is before its own hop.
    """

    fate: Fate
    stages: frozenset[Stage]
    further_stages: frozenset[Stage] = frozenset()
    answers: frozenset[Answer] = frozenset()
    responder: str = ""
    shows_as: frozenset[Reason] = frozenset()
    judged_elsewhere: frozenset[HopName] = frozenset()
    met_at: HopName | None = None

    @property
    def predicts(self) -> frozenset[Stage]:
        """Every stage where packets that meet the defect may leave their last trace."""
        return self.stages | self.further_stages

    @property
    def symptoms(self) -> frozenset[Reason]:
        """The reasons by which the defect may show at another hop."""
        return self.shows_as.union(*(_SHOWS_AS[answer] for answer in self.answers))
