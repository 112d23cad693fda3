"""How full the maps of a hop are. In a full map, new entries replace those of connections in use, or are refused.

In: a context and a finding. Out: the finding with the share of used entries; if it is Ok and a map is nearly full, a
latent fault instead. Called by `examination`.
Source: Cilium 1.18 `pkg/maps` (conntrack and NAT maps are LRU maps, the others refuse new entries).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict, Stance, Witness
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...sources.agent import map_pressure
from ...sources.agent.map_pressure import CountedMap
from ..context import CheckContext
from ..finding.finding import Finding, Statement
from ..finding.hop_check import WITNESSES, Contradiction

NEARLY_FULL = 0.9
_MAPS: Final[Mapping[HopName, tuple[CountedMap, ...]]] = {
    HopName.NAME_RESOLUTION: (CountedMap.OTHER_CONNTRACK,),
    HopName.SERVICE_LOOKUP: (CountedMap.SERVICES, CountedMap.BACKENDS),
    HopName.IPCACHE_LOOKUP: (CountedMap.IPCACHE,),
    HopName.EGRESS_POLICY: (CountedMap.POLICY, CountedMap.TCP_CONNTRACK, CountedMap.SNAT),
    HopName.ENDPOINT_LOOKUP: (CountedMap.ENDPOINTS,),
    HopName.INGRESS_POLICY: (CountedMap.POLICY, CountedMap.TCP_CONNTRACK),
    HopName.REPLY_IPCACHE: (CountedMap.IPCACHE,),
    HopName.REPLY_DELIVERY: (CountedMap.ENDPOINTS,),
    HopName.REPLY_TRANSLATION: (CountedMap.REVERSE_NAT,),
}
_MASQUERADES = "enable-bpf-masquerade"


def with_headroom(context: CheckContext, expected: ExpectedHop, finding: Finding) -> Finding:
    """The finding with the pressure of its maps. Missing evidence of it changes nothing."""
    used = _pressure_of(context, expected)
    if not used:
        return finding
    shown = ", ".join(f"{name} {share:.0%}" for name, share in used.items())
    fullest = max(used, key=used.__getitem__)
    if used[fullest] > NEARLY_FULL and finding.verdict is HopVerdict.OK:
        finding = _nearly_full(context, expected, finding, fullest, used[fullest])
    return _with_fact(finding, shown)


def want_pressures(context: CheckContext) -> None:
    """Have the pressure of the maps on the path collected."""
    for node in {hop.node: None for hop in context.path.hops if hop.name in _MAPS}:
        context.reader.want(map_pressure.fact(node))


def map_pressures(context: CheckContext) -> Mapping[CountedMap, float]:
    """The share of used entries by map, for the node of the path where it is largest."""
    found: dict[CountedMap, float] = {}
    for hop in context.path.hops:
        for name, share in _pressure_of(context, hop).items():
            found[name] = max(share, found.get(name, 0.0))
    return found


def _pressure_of(context: CheckContext, expected: ExpectedHop) -> Mapping[CountedMap, float]:
    """The share of used entries of the hop's maps; empty if it is not known."""
    maps = _MAPS.get(expected.name)
    if maps is None:
        return {}
    known = context.reader.read(map_pressure.fact(expected.node), map_pressure.parse)
    if isinstance(known, Unavailable):
        return {}
    return {name: known[name] for name in maps if name in known and _is_used(context, name)}


def _is_used(context: CheckContext, name: CountedMap) -> bool:
    """Packets that leave the cluster are translated, if programs masquerade."""
    leaves = context.backend is not None and context.backend.target is None
    return name is not CountedMap.SNAT or (leaves and context.plan.config.get(_MASQUERADES) == "true")


def _nearly_full(
    context: CheckContext, expected: ExpectedHop, finding: Finding, name: CountedMap, share: float
) -> Finding:
    message = f"{share:.0%} of the entries of cilium_{name} on {expected.node} are in use"
    hop = context.hop(expected, finding.object)
    hop.statements.update(finding.evidence)
    rests_on = (map_pressure.fact(expected.node),)
    return hop.stale(Contradiction(Reason.MAP_NEARLY_FULL, message, rests_on=rests_on))


def _with_fact(finding: Finding, shown: str) -> Finding:
    known = finding.evidence.get(Witness.PROGRAMMED, Statement(Stance.AGREES, "entries are free"))
    statement = Statement(known.stance, known.summary, {**known.facts, "mapPressure": shown})
    evidence = {**finding.evidence, Witness.PROGRAMMED: statement}
    return replace(
        finding, evidence={witness: evidence[witness] for witness in WITNESSES if witness in evidence}
    )
