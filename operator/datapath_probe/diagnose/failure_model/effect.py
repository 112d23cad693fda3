"""The words of the failure model: what can be wrong with a hop, and what that does to packets."""

from dataclasses import dataclass
from enum import StrEnum

from ...api.reasons import Reason
from ...api.vocabulary import HopName
from .stage import Stage


class Defect(StrEnum):
    """What is wrong with a hop, as far as packets can tell. One reason can stand for several defects: they say what is
    wrong to people, and these what becomes of packets.
    """

    # in a device, a kernel or a packet filter
    LOST = "packets are lost"
    LATE = "packets are late or damaged"
    FILTERED = "a packet filter takes packets"
    HOST_ANSWERS_LOST = "answers of a node itself are lost"
    DATA_LOST = "packets that carry data are lost"
    PAIR_BROKEN = "the interface pair is broken"
    ROUTE_GONE = "the route to the pod is gone with its device"
    FRAMES_REFUSED = "frames bear another MAC address than the node's"
    LOST_INTO_POD = "packets to the pod are lost"
    LATE_INTO_POD = "packets to the pod are late or damaged"
    FILTERED_INTO_POD = "a packet filter takes packets to the pod"
    LOST_OUT_OF_POD = "packets from the pod are lost"
    LATE_OUT_OF_POD = "packets from the pod are late or damaged"
    FILTERED_OUT_OF_POD = "a packet filter takes packets from the pod"
    # programs
    BYPASSED = "packets do not pass the program"
    TAIL_CALL_MISSING = "the program lacks a tail call"
    NO_POLICY_PROGRAM = "the endpoint has no policy program"
    OTHER_ENDPOINTS_PROGRAM = "the policy program is another endpoint's"
    # Services
    NOT_TRANSLATED = "no backend is chosen"
    NOT_TRANSLATED_BACK = "replies keep the backend's address"
    OTHER_BACKEND = "packets go to what is no ready backend"
    # identity and place of a pod
    WRONG_IDENTITY = "the address has another identity"
    LED_ELSEWHERE = "packets are led to another place"
    KEPT_ON_NODE = "packets are taken for an endpoint of this node"
    HANDED_TO_HOST = "packets are handed to the node's own stack"
    ROUTED_ELSEWHERE = "the node's stack has another route to its pod"
    WRONG_INTERFACE = "packets go to another interface"
    OTHER_ENDPOINT = "packets go to another endpoint"
    STALE_MAP = "programs use a map that is no longer updated"
    # policy
    DENIED = "policy denies packets"
    PROXIED = "packets are handed to an L7 proxy"
    # objects that the maps of other nodes follow
    SOURCE_UNKNOWN = "the agent does not know the source pod"
    DESTINATION_UNKNOWN = "the agent does not know the destination pod"
    SOURCE_MISJUDGED = "the source pod has another identity"
    DESTINATION_MISJUDGED = "the destination pod has another identity"
    REQUESTS_LED_ELSEWHERE = "requests are led to another node"
    REPLIES_LED_ELSEWHERE = "replies are led to another node"
    # seen in the client's report and in events alone
    UNRESOLVED = "the name does not resolve"
    NO_ANSWER = "the application does not answer"
    WRONG_ANSWER = "the application answers otherwise than expected"


class Fate(StrEnum):
    """What becomes of packets."""

    LOST = "lost"
    DIVERTED = "diverted"
    PASSED = "passed on"


class Answer(StrEnum):
    """What a client gets from something else that takes its packets."""

    RST = "RST"
    ICMP_ERROR = "ICMP error"
    RESPONSE = "response"


_SHOWS_AS = {
    Answer.RST: frozenset({Reason.CONNECTION_REFUSED, Reason.CONNECTION_RESET}),
    Answer.ICMP_ERROR: frozenset[Reason](),  # a client that meets one reports no answer
    Answer.RESPONSE: frozenset({Reason.UNEXPECTED_STATUS, Reason.UNEXPECTED_BODY}),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a defect of a hop does to packets.

    `stages`: where their last trace may lie; whatever is lost at one of them has this hop among its suspects.
    `further_stages`: where it may lie too, once the defect is seen; without it no loss there is suspected of this hop.
    `answers`, `responder`: what the client may get instead of silence, and from whom. `shows_as`: as what else it may
    show at another hop. `judged_elsewhere`: the hops that judge these packets as another pod's, or do not see them.
    `met_at`: the first hop where packets meet the defect, if that is before its own.
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
        """Every stage where packets that meet it may have left their last trace."""
        return self.stages | self.further_stages

    @property
    def symptoms(self) -> frozenset[Reason]:
        """As what it may show at another hop."""
        return self.shows_as.union(*(_SHOWS_AS[answer] for answer in self.answers))
