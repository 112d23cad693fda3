"""`replay --expect`: the exit code says whether a saved run gets the expected answer."""

import pytest
from click.testing import CliRunner

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.hop_result import HopRef, Segment
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.cli.expected_answer import ExpectedAnswer
from datapath_probe.cli.main import main
from unit.recorded import _PATHS

BROKEN = ProbeStatus(
    verdict=ProbeVerdict.BROKEN,
    reason=Reason.ENDPOINT_ENTRY_MISSING,
    divergent_hop=HopRef(
        name=HopName.ENDPOINT_LOOKUP, node="node1", reason=Reason.ENDPOINT_ENTRY_MISSING, message="no entry"
    ),
)
LOST = ProbeStatus(
    verdict=ProbeVerdict.BROKEN,
    reason=Reason.LOST_IN_TRANSIT,
    segment=Segment(after=HopName.LOCALITY_LOOKUP, before=HopName.ENDPOINT_LOOKUP),
)
HEALTHY = ProbeStatus(verdict=ProbeVerdict.HEALTHY)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (BROKEN, "Broken/endpoint-lookup/EndpointEntryMissing"),
        (BROKEN, "Broken/endpoint-lookup@node1/EndpointEntryMissing"),
        (BROKEN, "Broken"),
        (BROKEN, "/endpoint-lookup"),
        (BROKEN, "//EndpointEntryMissing"),
        (BROKEN, ""),
        (LOST, "Broken/locality-lookup..endpoint-lookup/LostInTransit"),
        (HEALTHY, "Healthy"),
        (HEALTHY, "Healthy/none"),
    ],
)
def test_what_is_given_is_compared(status: ProbeStatus, text: str) -> None:
    assert ExpectedAnswer.parse(text).differences(status) == []


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (BROKEN, "Degraded", "the verdict is Broken"),
        (BROKEN, "Broken/service-lookup", "the hop is endpoint-lookup"),
        (BROKEN, "Broken/endpoint-lookup@node2", "the hop is endpoint-lookup@node1"),
        (BROKEN, "Broken/none", "the hop is endpoint-lookup"),
        (BROKEN, "Broken//PolicyDenied", "the reason is EndpointEntryMissing"),
        (LOST, "Broken/endpoint-lookup", "the hop is locality-lookup..endpoint-lookup"),
        (LOST, "Broken/locality-lookup..reply-delivery", "the hop is locality-lookup..endpoint-lookup"),
        (HEALTHY, "/service-lookup", "the hop is none"),
    ],
)
def test_a_difference_is_named(status: ProbeStatus, text: str, said: str) -> None:
    assert ExpectedAnswer.parse(text).differences(status) == [said]


@pytest.mark.parametrize("text", ["Brocken", "Broken/lookup", "Broken//Nothing", "a/b/c/d", "Broken/ipam..x"])
def test_a_name_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"there is no|three parts"):
        ExpectedAnswer.parse(text)


@pytest.mark.parametrize(
    ("expected", "exit_code"),
    [("Broken/endpoint-lookup/EndpointEntryMissing", 0), ("Healthy", 1), ("Well", 2)],
)
def test_the_exit_code_tells_the_answers_apart(expected: str, exit_code: int) -> None:
    bundle = str(_PATHS["endpoint-entry-missing"])
    done = CliRunner().invoke(main, ("replay", bundle, "--expect", expected))
    assert done.exit_code == exit_code
    assert ("Error: expected Healthy, but the verdict is Broken" in done.output) is (exit_code == 1)
