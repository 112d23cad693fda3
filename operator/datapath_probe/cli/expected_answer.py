"""The answer that a saved run should get, as the text VERDICT/HOP/REASON; parts may be omitted. Called by `main`."""

from dataclasses import dataclass
from typing import Self

from ..api.reasons import Reason
from ..api.status.probe_status import ProbeStatus
from ..api.vocabulary import HopName, ProbeVerdict

_BETWEEN = ".."
NO_HOP = "none"


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """ "" for a part that may be anything. `place`: a hop, a hop@node, a segment as after..before, or `none`."""

    verdict: str = ""
    place: str = ""
    reason: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read VERDICT/HOP/REASON. Raises ValueError for a name that does not exist."""
        parts = [part.strip() for part in text.split("/")]
        if len(parts) > 3:
            raise ValueError(f"{text!r} has more than three parts")
        verdict, place, reason = (*parts, "", "")[:3]
        hops = [] if place in ("", NO_HOP) else [end.partition("@")[0] for end in place.split(_BETWEEN)]
        _known([verdict] if verdict else [], ProbeVerdict, "verdict")
        _known(hops, HopName, "hop")
        _known([reason] if reason else [], Reason, "reason")
        return cls(verdict, place, reason)

    def differences(self, status: ProbeStatus) -> list[str]:
        """How the answer in a status differs, as clauses; none if it is the expected one."""
        return [
            f"the {name} is {found or NO_HOP}"
            for name, wanted, found in (
                ("verdict", self.verdict, str(status.verdict or "")),
                ("hop", self.place, self._place_of(status)),
                ("reason", self.reason, str(status.reason or "")),
            )
            if wanted and wanted != (found or NO_HOP)
        ]

    def _place_of(self, status: ProbeStatus) -> str:
        """The divergent hop, with its node if one is expected; otherwise the segment, or ""."""
        hop, segment = status.divergent_hop, status.segment
        if hop:
            return f"{hop.name}@{hop.node}" if "@" in self.place else str(hop.name)
        return f"{segment.after}{_BETWEEN}{segment.before}" if segment else ""


def _known(names: list[str], kind: type[ProbeVerdict] | type[HopName] | type[Reason], what: str) -> None:
    for name in names:
        if name not in set(kind):
            raise ValueError(f"there is no {what} {name!r}")
