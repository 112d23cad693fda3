"""What happened earlier: outages, and runs that were not Healthy. Part of the status."""

from pydantic import Field

from ..model import ApiModel
from ..vocabulary import ProbeVerdict
from .fields import BriefName, Count, Hop, Line, Name, Reason, Time

OUTAGES_LIMIT = 10
FAILURES_LIMIT = 5


class Outage(ApiModel):
    """A time during which the expectation was not met, by the condition ExpectationMet."""

    start_time: Time
    """Start of the first of the consecutive failed runs with which the outage began."""

    end_time: Time | None = None
    """Start of the first of the consecutive successful runs with which the outage ended. Absent while it lasts."""

    hop: Hop | None = None
    """Name of the divergent hop, from the first run that could name one. Absent if none could."""

    node: Name | None = None
    """Node of the divergent hop or of the segment on which packets were lost. Absent if it is not known."""

    reason: Reason
    """Why the expectation was not met, in one CamelCase word, from the run that named the hop."""

    runs: Count
    """Number of runs that failed during the outage."""


class FailedRun(ApiModel):
    """A run whose verdict was not Healthy."""

    time: Time
    """Time when the run ended."""

    run_id: BriefName = Field(alias="runID")
    """Identifier of the run. The operator's logs use the same."""

    verdict: ProbeVerdict
    """Verdict of the run: Degraded, Broken or Unknown."""

    hop: Hop | None = None
    """Name of the divergent hop. Absent if there was none."""

    reason: Reason
    """Why the verdict was not Healthy, in one CamelCase word. docs/errors.md describes each reason."""

    message: Line
    """Why the verdict was not Healthy, in one sentence."""

    evidence: Name | None = None
    """Name of the file with the saved evidence, for datapath-probe replay. Absent if it is not kept."""
