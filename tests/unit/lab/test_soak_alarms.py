"""Which alarms an injected fault of the soak test explains; all others are false."""

import pytest

from soak.history import PastRun
from soak.injection import _IN_PROGRESS_S, FAULTS, Injection

[MISSING] = [fault for fault in FAULTS if fault.name == "endpoint entry missing, other node"]
INJECTION = Injection(MISSING, "calm", began=100, repaired=120, found_s=3, healthy_s=4)


def alarm(
    probe: str = "far",
    ended: float = 110,
    hop: str = "",
    reason: str = "LostInTransit",
    segment: tuple[str, str] | None = None,
) -> PastRun:
    return PastRun(probe, ended, "Broken", hop, reason, segment)


@pytest.mark.parametrize(
    "run",
    [
        alarm(hop=MISSING.hop, reason=MISSING.reason),
        alarm(hop=MISSING.hop, reason=MISSING.reason, ended=129),
        alarm(segment=("ipcache-lookup", "destination-interface")),
    ],
)
def test_an_alarm_at_the_broken_hop_or_a_segment_around_it_is_explained(run: PastRun) -> None:
    assert INJECTION.explains(run)


@pytest.mark.parametrize(
    "run",
    [
        alarm(hop="ipcache-lookup", reason="WrongTunnelEndpoint"),
        alarm(hop=MISSING.hop, reason="LookupMismatch"),
        alarm(hop=MISSING.hop, reason=MISSING.reason, probe="star"),
        alarm(hop=MISSING.hop, reason=MISSING.reason, ended=99),
        alarm(hop=MISSING.hop, reason=MISSING.reason, ended=121 + _IN_PROGRESS_S),
        alarm(segment=("reply-program", "reply-delivery")),
        alarm(segment=("ipcache-lookup", "overlay-decapsulation")),
        alarm(),
    ],
)
def test_any_other_alarm_is_false(run: PastRun) -> None:
    assert not INJECTION.explains(run)


def test_an_application_that_stops_during_a_response_resets_the_connection() -> None:
    [stopped] = [fault for fault in FAULTS if fault.name == "application stopped"]
    injection = Injection(stopped, "calm", began=100, repaired=120, found_s=3, healthy_s=4)
    assert injection.explains(alarm(hop=stopped.hop, reason="ConnectionReset"))
    assert not INJECTION.explains(alarm(hop=MISSING.hop, reason="ConnectionReset"))
