"""The report, as people read it."""

from dataclasses import replace

import pytest
from rich.console import Console

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status import ProbeStatus
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Divergence
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.report.report import Heading, report
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun, RunResult
from unit.publish.samples import (
    CANNOT_RUN,
    NOW,
    REPORT,
    diverging,
    finding,
    from_pod,
    healthy,
    lost,
    probe,
    record,
    unknown,
)

HEADING = Heading("default/landing", "POST http://deathstar.default.svc:80/v1/request-landing")


def lines(status: ProbeStatus, *, facts: bool = True, width: int = 120) -> list[str]:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(*report(HEADING, status, facts=facts), sep="\n")
    return [line.rstrip() for line in capture.get().splitlines()]


def text(outcome: Diagnosis | CannotRun, *, facts: bool = True) -> str:
    return "\n".join(lines(statuses.findings(RunResult(NOW, NOW, (outcome,))), facts=facts))


def test_a_healthy_run_reads_from_top_to_bottom() -> None:
    assert text(healthy()).splitlines()[:10] == [
        "default/landing   Healthy",
        "default/xwing@node2 → default/deathstar:80 → 10.244.0.172@node1",
        "",
        "request  POST http://deathstar.default.svc:80/v1/request-landing",
        "sent     from 10.244.1.27:20001 to 10.96.57.217:80",
        "answer   HTTP 200 in 7.6ms",
        "         ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  name 1.2ms  connect 0.8ms  first byte 4.6ms  rest 1.0ms",
        "",
        "   hop                   node   I P O  what was found",
        "✓  ipam                  node2  ✓ ✓ –  ipam says so",
    ]
    assert text(healthy()).splitlines()[-1].endswith("6/6 hops ok, 7.6ms")


def test_hops_stand_in_path_order_each_with_its_node() -> None:
    found = [
        line.split()[1:3] for line in text(healthy(), facts=False).splitlines() if line.startswith("✓  ")
    ]
    assert found == [
        ["ipam", "node2"],
        ["source-interface", "node2"],
        ["service-lookup", "node2"],
        ["ipcache-lookup", "node2"],
        ["endpoint-lookup", "node1"],
        ["destination-response", "node1"],
    ]


def test_the_values_can_be_left_out() -> None:
    assert "identity=57017" in text(healthy())
    assert "identity=57017" not in text(healthy(), facts=False)


def test_a_broken_hop_shows_what_each_witness_says_and_ends_with_what_to_do() -> None:
    told = text(diverging(), facts=False)
    assert "✗  ipcache-lookup        node2  ✓ ✗ –  WrongTunnelEndpoint: ipcache-lookup says so" in told
    assert "✓ intent: as Kubernetes has it  pod=10.244.0.172" in told
    assert "✗ programmed: as the map has it  identity=57017" in told
    end = told.splitlines()[-5:]
    assert "Broken at ipcache-lookup on node2 · WrongTunnelEndpoint" in end[0]
    assert "why   ipcache-lookup says so" in end[1]
    assert "next  Compare cilium-dbg bpf ipcache get" in end[2]


def test_a_symptom_is_told_beside_its_cause() -> None:
    symptom = Divergence(HopName.DESTINATION_RESPONSE, "node1", Reason.NO_RESPONSE, "no answer came")
    assert "packets were lost at destination-response on node1: no answer came" in text(
        replace(diverging(), symptom=symptom)
    )


def test_what_was_taken_on_trust_is_shown() -> None:
    blind = finding(HopName.SOURCE_INTERFACE, "node2", HopVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)
    found = replace(diverging(), findings=(blind, *diverging().findings[2:]))
    assert "assumed  source-interface: assumed to be as intended, because it could not be" in text(found)


def test_a_segment_names_its_ends() -> None:
    told = text(lost())
    assert "Broken between ipcache-lookup and endpoint-lookup · LostInTransit" in told
    assert "answer   curl exit 28" in told
    assert "why   curl exit 28: timed out" in told


def test_a_run_that_could_not_take_place_says_why() -> None:
    told = text(CANNOT_RUN)
    assert "Unknown · SourceNotFound" in told
    assert "why   there is no pod default/xwing" in told
    assert "(default/xwing" not in told


def test_a_run_without_a_report_of_curl_says_so() -> None:
    assert "answer   none: curl gave no report" in text(replace(unknown(), report=None))


def test_a_slow_answer_is_degraded_without_a_hop() -> None:
    slow = replace(healthy(), verdict=ProbeVerdict.DEGRADED, reason=Reason.TOO_SLOW, message="it took 300 ms")
    assert "Degraded · TooSlow" in text(slow)


def test_seconds_and_milliseconds_are_both_read() -> None:
    slow = replace(REPORT, timings=replace(REPORT.timings, first_byte=1.25, total=12.5))
    assert "first byte 1248.0ms  rest 11250.0ms" in text(replace(healthy(), report=slow))


def test_a_status_of_the_operator_also_tells_when_it_ran() -> None:
    status = statuses.after_run(ProbeStatus(), probe(), record(healthy(), id_="abc"), NextRun(NOW + 60))
    assert lines(status)[0] == "default/landing   Healthy   2026-09-21 14:13:20 UTC, run abc"


def test_what_a_container_says_is_neither_markup_nor_a_terminal_code() -> None:
    hostile = replace(REPORT, error="[/red] [bold]bold[/bold] \x1b[2J\r\nforged")
    told = text(replace(lost(), report=hostile, message="[/] \x1b]0;title\x07"))
    assert "[/red] [bold]bold[/bold]" in told
    assert "\x1b" not in told
    assert "\nforged" not in told


def test_a_probe_that_has_not_run_says_so() -> None:
    assert lines(ProbeStatus()) == ["default/landing", "no run has ended yet"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_every_width(width: int) -> None:
    status = statuses.findings(RunResult(NOW, NOW, (diverging(),)))
    assert max(map(len, lines(status, width=width))) <= width


def several(*outcomes: Diagnosis | CannotRun, width: int = 120) -> list[str]:
    return lines(statuses.findings(RunResult(NOW, NOW, outcomes)), width=width)


def test_several_paths_are_a_line_each_and_the_worst_is_shown_hop_by_hop() -> None:
    bad = [from_pod(diverging(), number, "node3") for number in (4, 7)]
    told = several(*(from_pod(healthy(), number) for number in range(3)), *bad)
    assert told[0] == "default/landing   Broken"
    found = "Broken at ipcache-lookup on node2: WrongTunnelEndpoint"
    assert [" ".join(line.split()) for line in told[1:7]] == [
        "source destination what was found time",
        f"✗ xwing-4@node3 deathstar-0@node1 {found} 7.6ms",
        f"✗ xwing-7@node3 deathstar-0@node1 {found} 7.6ms",
        "✓ xwing-0@node2 deathstar-0@node1 Healthy 7.6ms",
        "✓ xwing-1@node2 deathstar-0@node1 Healthy 7.6ms",
        "✓ xwing-2@node2 deathstar-0@node1 Healthy 7.6ms",
    ]
    assert [line for line in told if "→ default/deathstar:80" in line] == [
        "default/xwing-4@node3 → default/deathstar:80 → 10.244.0.172@node1"
    ]
    assert sum("I P O" in line for line in told) == 1
    end = "\n".join(told[-6:])
    assert "paths  2 of 5 paths broken, all on node2" in end
    assert "why    ipcache-lookup says so " in end
    assert "next   Compare" in end


def test_why_of_several_paths_is_the_worst_one_s() -> None:
    end = "\n".join(several(lost(), healthy())[-5:])
    assert "paths  1 of 2 paths broken" in end
    assert "why    curl exit 28: timed out " in end
    assert "(default/" not in end


def test_several_healthy_paths_end_with_their_number() -> None:
    assert several(healthy(), from_pod(healthy(), 1))[-1] == (
        "✓ default/xwing@node2 and 1 more → default/deathstar:80: 2 of 2 paths healthy, at most 7.6ms"
    )


def test_paths_for_which_a_status_has_no_room_are_counted() -> None:
    told = several(diverging(), *(from_pod(healthy(), number) for number in range(63)))
    assert "32 more are not listed" in told


@pytest.mark.parametrize("width", [60, 80, 200])
def test_several_paths_fit_every_width(width: int) -> None:
    assert max(map(len, several(diverging(), healthy(), width=width))) <= width
