"""What the last run says of a hop, with what its three witnesses say. Part of the status."""

from collections.abc import Mapping
from typing import Annotated

from .model import ApiModel, Clip
from .status_fields import Hop, Line, Name, Reason, Text
from .vocabulary import HopVerdict, Stance

FACTS_LIMIT = 32


class HopRef(ApiModel):
    """A hop that is singled out."""

    name: Hop
    """Name of the hop."""

    node: Name
    """Node on which the hop is."""

    reason: Reason
    """Why, in one CamelCase word; docs/errors.md explains each."""

    message: Text
    """Why, for people, and what to do next."""


class Segment(ApiModel):
    """The stretch of the path on which the packets were lost, when no hop can be named."""

    after: Hop
    """Last hop that is known to have been passed."""

    before: Hop
    """First hop that is known not to have been reached."""

    node: Name | None = None
    """Node on which the stretch lies, if it is one."""


class WitnessReport(ApiModel):
    """What one witness says about a hop."""

    stance: Stance
    """Agrees, Contradicts or Silent."""

    summary: Line = ""
    """What the witness says, for people."""

    facts: Annotated[Mapping[str, Annotated[str, Clip(256)]], Clip(FACTS_LIMIT)] = {}
    """The values it goes by."""


class HopEvidence(ApiModel):
    """What the three witnesses say about a hop; one that had nothing to say is left out."""

    intent: WitnessReport | None = None
    """What should be true, by the objects of Kubernetes and Cilium."""

    programmed: WitnessReport | None = None
    """What the datapath is programmed to do, by eBPF maps and attached programs."""

    observed: WitnessReport | None = None
    """What happened to this request, by curl, conntrack and events."""


class HopResult(ApiModel):
    """One hop of the path."""

    name: Hop
    """Name of the hop."""

    node: Name
    """Node on which the hop is."""

    object: Name | None = None
    """What was judged: a device, a map entry, an object."""

    verdict: HopVerdict
    """Ok, Stale (programmed otherwise than intended), Broken (the request failed here) or Unknown."""

    reason: Reason | None = None
    """Why not Ok, in one CamelCase word; docs/errors.md explains each."""

    message: Text | None = None
    """What was found, for people."""

    evidence: HopEvidence = HopEvidence()
    """What the three witnesses say about the hop."""
