"""What the last run found at a hop, with the evidence of the three witnesses. Part of the status."""

from collections.abc import Mapping
from typing import Annotated

from ..limits import Clip
from ..model import ApiModel
from ..vocabulary import HopVerdict, Stance
from .fields import Hop, Line, Name, Reason, Text

FACTS_LIMIT = 32


class HopRef(ApiModel):
    """A reference to a hop, with what was found there."""

    name: Hop
    """Name of the hop."""

    node: Name
    """Node of the hop."""

    reason: Reason
    """Why, in one CamelCase word. docs/errors.md describes each reason."""

    message: Text
    """Why, in one sentence."""

    next: Line | None = None
    """What to do next."""


class Segment(ApiModel):
    """The part of the path on which packets were lost, if no single hop can be named."""

    after: Hop
    """Last hop that the packets are known to have passed."""

    before: Hop
    """First hop that the packets are known not to have reached."""

    node: Name | None = None
    """Node of the segment. Absent if the segment spans several nodes."""


class WitnessReport(ApiModel):
    """What one witness reports about a hop."""

    stance: Stance
    """Agrees, Contradicts or Silent."""

    summary: Line = ""
    """What the witness reports, in one sentence."""

    facts: Annotated[Mapping[Annotated[str, Clip(64)], Annotated[str, Clip(256)]], Clip(FACTS_LIMIT)] = {}
    """The values behind the summary."""


class HopEvidence(ApiModel):
    """What the three witnesses report about a hop. A witness without a report is absent."""

    intent: WitnessReport | None = None
    """Expected state, from Kubernetes and Cilium objects."""

    programmed: WitnessReport | None = None
    """Programmed state, from eBPF maps and attached programs."""

    observed: WitnessReport | None = None
    """Observed behavior of this request, from curl, conntrack and events."""


class HopResult(ApiModel):
    """Result of one hop."""

    name: Hop
    """Name of the hop."""

    node: Name
    """Node of the hop."""

    object: Name | None = None
    """What was checked: a device, a map entry or an API object."""

    verdict: HopVerdict
    """Ok: the hop is as intended. Stale: it is programmed differently from what is intended. Broken: the request
    failed here. Unknown: the hop could not be checked."""

    reason: Reason | None = None
    """Why the verdict is not Ok, in one CamelCase word. docs/errors.md describes each reason."""

    message: Text | None = None
    """What was found, in one sentence."""

    next: Line | None = None
    """What to do next. Absent if the verdict is Ok."""

    evidence: HopEvidence = HopEvidence()
    """What the three witnesses report about the hop."""
