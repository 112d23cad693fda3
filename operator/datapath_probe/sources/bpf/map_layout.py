"""The names of a node's maps, which contain the version of their layout. Asked first for every node.

The version is that of the agent binary (`cilium-agent --version`). It is available even if the agent's API is not, and
prints `1.18.5` where `cilium-dbg status` prints no version ("Not all probes executed at least once", or `(v-)` for a
build without a revision). The maps that exist do not show the version, because those of earlier versions stay pinned.
Source: Cilium 1.16–1.20 `daemon/cmd/root.go`, `pkg/maps/{ipcache,policymap}`.
"""

import re
from dataclasses import dataclass

from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer, Unavailable
from ..parsing import line, parser

# major.minor → (ipcache, prefix of the policy maps)
_MAPS = {
    "1.16": ("cilium_ipcache", "cilium_policy"),
    "1.17": ("cilium_ipcache", "cilium_policy_v2"),
    "1.18": ("cilium_ipcache_v2", "cilium_policy_v2"),
    "1.19": ("cilium_ipcache_v2", "cilium_policy_v2"),
    "1.20": ("cilium_ipcache_v2", "cilium_policy_v3"),
}
_LINE_LIMIT = 1024  # characters; the line has about 100
_VERSION = re.compile(r"\S*cilium-agent ((\d{1,4}\.\d{1,4})\S*) ")


@dataclass(frozen=True, slots=True)
class Layout:
    """`version` in the agent's format, such as 1.18.5; `policy_map` is followed by `_` and the endpoint's id."""

    version: str
    ipcache_map: str
    policy_map: str


def version(node: str) -> Fact:
    """The version of the agent's binary. Starts a large program; the answer changes only with the agent."""
    return Fact.of(FactKind.AGENT_VERSION, node)


@parser("cilium-agent --version")
def parse(answer: Answer) -> Layout | Unavailable:
    """The layout; `UnsupportedVersion` if the maps of the version are not known."""
    printed = answer.stdout[:_LINE_LIMIT].decode(errors="replace")
    found = _VERSION.match(printed)
    maps = _MAPS.get(found[2]) if found else None
    if not found or not maps:
        known = f"{next(iter(_MAPS))} to {next(reversed(_MAPS))}"
        said = line(printed) or "nothing"
        message = f"the agent's version is not one of {known}, whose maps are known: {said}"
        return Unavailable(EvidenceError.UNSUPPORTED_VERSION, message, answer.at)
    return Layout(found[1], *maps)
