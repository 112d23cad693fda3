"""How full Cilium's maps are, from the metric `cilium_bpf_map_pressure` of a node's agent.

The agent counts the entries of some maps every 30 s and of others every 5 min; maps that it does not count are missing.
Source: Cilium 1.16–1.20 `cilium-dbg/cmd/metrics_list.go`, `pkg/metrics` (`NewBPFMapPressureGauge`),
`pkg/maps/ctmap` (`CalculateCTMapPressure`), `pkg/loadbalancer/maps/pressure_metrics.go`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import Json, parser

METRIC = "cilium_bpf_map_pressure"
_LABEL = "map_name"
_VERSION = re.compile(r"(_v\d+)?(_\*)?$")


class CountedMap(StrEnum):
    """The maps whose entries paths depend on, by their names without the version."""

    SERVICES = "lb4_services"
    BACKENDS = "lb4_backends"
    REVERSE_NAT = "lb4_reverse_nat"
    TCP_CONNTRACK = "ct4_global"
    OTHER_CONNTRACK = "ct_any4_global"
    SNAT = "snat_v4_external"
    IPCACHE = "ipcache"
    ENDPOINTS = "lxc"
    POLICY = "policy"  # the fullest one of the node's endpoints


_COUNTED = frozenset(CountedMap)


def fact(node: str) -> Fact:
    """The pressure of all maps of a node. Starts a process."""
    return Fact.of(FactKind.MAP_PRESSURE, node)


@parser("cilium-dbg metrics list")
def parse(answer: Answer) -> Mapping[CountedMap, float]:
    """The share of the entries that are used, by map. Maps that no path depends on are left out."""
    found: dict[CountedMap, float] = {}
    if answer.stdout.strip() in (b"", b"null"):  # the agent has no such metric
        return found
    for metric in Json.parse(answer.stdout):
        name = _VERSION.sub("", metric["labels"][_LABEL].text(""))
        if metric["name"].text() == METRIC and name in _COUNTED:
            found[CountedMap(name)] = max(metric["value"].number(), found.get(CountedMap(name), 0.0))
    return found
