"""How large the evidence of a path is, and what is left of it without its largest answers.

The packet filters of nodes are counted apart: those of kube-proxy are often large, and no pod writes them. Called by
`runs.bounded_diagnosis`, which says where evidence of each size is judged.
"""

from collections.abc import Iterator

from .errors import EvidenceError
from .fact import Fact
from .fact_kinds import FactKind
from .reading import Answer, Reading, Unavailable
from .store import Evidence

LARGE_BYTES = 256 * 1024
"""In recorded runs the answers have 56 KB together, and at most 184 KB. To parse so much takes less than 0.1 s."""
LARGE_RULES_BYTES = 48 * 1024
"""Those of packet filters of pods, which are searched for each hop that has hooks. In recorded runs at most 22 KB."""
LARGE_NODE_RULES_BYTES = 256 * 1024
"""Those of packet filters of nodes. kube-proxy writes 750 bytes for a Service with one endpoint. To parse and search so
much takes less than 0.1 s.
"""
_RULES = frozenset({FactKind.IPTABLES_RULES, FactKind.NFTABLES_RULES})


def size_of(reading: Reading) -> int:
    """The bytes of an answer; 0 if there is none."""
    return len(reading.stdout) + len(reading.stderr) if isinstance(reading, Answer) else 0


def is_large(evidence: Evidence) -> bool:
    """Whether the evidence is too large to be parsed in the operator's process, apart from the rules of nodes."""
    size = sum(size_of(reading) for _, readings in evidence for reading in readings)
    return size > LARGE_RULES_BYTES and next(_beyond_limit(evidence), None) is not None


def has_large_node_rules(evidence: Evidence) -> bool:
    """Whether the rules of nodes are too large to be parsed at once."""
    return sum(map(size_of, node_rules(evidence))) > LARGE_NODE_RULES_BYTES


def node_rules(evidence: Evidence) -> Iterator[Reading]:
    """The readings of the rules of nodes."""
    return (reading for fact, readings in evidence if _are_of_a_node(fact) for reading in readings)


def without_large_answers(evidence: Evidence, why: str) -> Evidence:
    """The evidence without its largest answers, so that it is small; they are unavailable, and `why` says so."""
    unavailable = {(fact, place) for fact, place in _beyond_limit(evidence)}
    return Evidence(
        {
            fact: tuple(
                Unavailable(EvidenceError.TOO_LARGE, why, reading.at)
                if (fact, place) in unavailable
                else reading
                for place, reading in enumerate(readings)
            )
            for fact, readings in evidence
        }
    )


def _beyond_limit(evidence: Evidence) -> Iterator[tuple[Fact, int]]:
    """Each answer that does not fit, if the smallest come first: its fact, and its place among the fact's readings."""
    size, of_rules = 0, 0
    counted = ((fact, readings) for fact, readings in evidence if not _are_of_a_node(fact))
    sizes = ((size_of(r), fact, place) for fact, rs in counted for place, r in enumerate(rs))
    for own, fact, place in sorted(sizes, key=lambda found: found[0]):
        rules = own if fact.kind in _RULES else 0
        if size + own > LARGE_BYTES or of_rules + rules > LARGE_RULES_BYTES:
            yield fact, place
        else:
            size, of_rules = size + own, of_rules + rules


def _are_of_a_node(fact: Fact) -> bool:
    """Whether these are packet filter rules of a node, not of a pod."""
    return fact.kind in _RULES and not fact.get("namespace")
