"""The report, as users read it."""

from dataclasses import replace

import pytest
from rich.console import Console

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import ProbeStatus
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


def test_hops_are_in_path_order_each_with_its_node() -> None:
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


def test_a_broken_hop_shows_each_witness_and_ends_with_the_next_step() -> None:
    shown = text(diverging(), facts=False)
    assert "✗  ipcache-lookup        node2  ✓ ✗ –  WrongTunnelEndpoint: ipcache-lookup says so" in shown
    assert "✓ intent: as Kubernetes has it  pod=10.244.0.172" in shown
    assert "✗ programmed: as the map has it  identity=57017" in shown
    end = shown.splitlines()[-5:]
    assert "Broken at ipcache-lookup on node2 · WrongTunnelEndpoint" in end[0]
    assert "why   ipcache-lookup says so" in end[1]
    assert "next  Compare cilium-dbg bpf ipcache get" in end[2]


def test_a_symptom_is_shown_with_its_cause() -> None:
    symptom = Divergence(HopName.DESTINATION_RESPONSE, "node1", Reason.NO_RESPONSE, "no answer came")
    assert "packets were lost at destination-response on node1: no answer came" in text(
        replace(diverging(), symptom=symptom)
    )


def test_assumptions_are_shown() -> None:
    blind = finding(HopName.SOURCE_INTERFACE, "node2", HopVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)
    found = replace(diverging(), findings=(blind, *diverging().findings[2:]))
    assert "assumed  source-interface: assumed to be as intended, because it could not be" in text(found)


def test_a_segment_names_its_ends() -> None:
    shown = text(lost())
    assert "Broken between ipcache-lookup and endpoint-lookup · LostInTransit" in shown
    assert "answer   curl exit 28" in shown
    assert "why   curl exit 28: timed out" in shown


def test_a_run_that_could_not_start_shows_the_reason() -> None:
    shown = text(CANNOT_RUN)
    assert "Unknown · SourceNotFound" in shown
    assert "why   there is no pod default/xwing" in shown
    assert "(default/xwing" not in shown


def test_a_missing_report_of_curl_is_shown() -> None:
    assert "answer   none: curl gave no report" in text(replace(unknown(), report=None))


def test_a_slow_answer_is_degraded_without_a_hop() -> None:
    slow = replace(healthy(), verdict=ProbeVerdict.DEGRADED, reason=Reason.TOO_SLOW, message="it took 300 ms")
    assert "Degraded · TooSlow" in text(slow)


def test_seconds_and_milliseconds_are_parsed() -> None:
    slow = replace(REPORT, timings=replace(REPORT.timings, first_byte=1.25, total=12.5))
    assert "first byte 1248.0ms  rest 11250.0ms" in text(replace(healthy(), report=slow))


def test_a_status_from_the_operator_shows_the_time_of_the_run() -> None:
    status = statuses.after_run(ProbeStatus(), probe(), record(healthy(), id_="abc"), NextRun(NOW + 60))
    assert lines(status)[0] == "default/landing   Healthy   2026-09-21 14:13:20 UTC, run abc"


def test_output_of_a_container_is_neither_markup_nor_a_terminal_code() -> None:
    hostile = replace(REPORT, error="[/red] [bold]bold[/bold] \x1b[2J\r\nforged")
    shown = text(replace(lost(), report=hostile, message="[/] \x1b]0;title\x07"))
    assert "[/red] [bold]bold[/bold]" in shown
    assert "\x1b" not in shown
    assert "\nforged" not in shown


def test_a_probe_that_has_not_run() -> None:
    assert lines(ProbeStatus()) == ["default/landing", "no run has ended yet"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_every_width(width: int) -> None:
    status = statuses.findings(RunResult(NOW, NOW, (diverging(),)))
    assert max(map(len, lines(status, width=width))) <= width


def several(*outcomes: Diagnosis | CannotRun, width: int = 120) -> list[str]:
    return lines(statuses.findings(RunResult(NOW, NOW, outcomes)), width=width)


def test_several_paths_have_a_line_each_and_the_worst_is_shown_hop_by_hop() -> None:
    bad = [from_pod(diverging(), number, "node3") for number in (4, 7)]
    shown = several(*(from_pod(healthy(), number) for number in range(3)), *bad)
    assert shown[0] == "default/landing   Broken"
    found = "Broken at ipcache-lookup on node2: WrongTunnelEndpoint"
    assert [" ".join(line.split()) for line in shown[1:7]] == [
        "source destination what was found time",
        f"✗ xwing-4@node3 deathstar-0@node1 {found} 7.6ms",
        f"✗ xwing-7@node3 deathstar-0@node1 {found} 7.6ms",
        "✓ xwing-0@node2 deathstar-0@node1 Healthy 7.6ms",
        "✓ xwing-1@node2 deathstar-0@node1 Healthy 7.6ms",
        "✓ xwing-2@node2 deathstar-0@node1 Healthy 7.6ms",
    ]
    assert [line for line in shown if "→ default/deathstar:80" in line] == [
        "default/xwing-4@node3 → default/deathstar:80 → 10.244.0.172@node1"
    ]
    assert sum("I P O" in line for line in shown) == 1
    end = "\n".join(shown[-6:])
    assert "paths  2 of 5 paths broken, all on node2" in end
    assert "why    ipcache-lookup says so " in end
    assert "next   Compare" in end


def test_the_reason_of_several_paths_is_that_of_the_worst() -> None:
    end = "\n".join(several(lost(), healthy())[-5:])
    assert "paths  1 of 2 paths broken" in end
    assert "why    curl exit 28: timed out " in end
    assert "(default/" not in end


def test_several_healthy_paths_end_with_their_number() -> None:
    assert several(healthy(), from_pod(healthy(), 1))[-1] == (
        "✓ default/xwing@node2 and 1 more → default/deathstar:80: 2 of 2 paths healthy, at most 7.6ms"
    )


def test_paths_that_are_not_in_the_status_are_counted() -> None:
    shown = several(diverging(), *(from_pod(healthy(), number) for number in range(63)))
    assert "32 more are not listed" in shown


@pytest.mark.parametrize("width", [60, 80, 200])
def test_several_paths_fit_every_width(width: int) -> None:
    assert max(map(len, several(diverging(), healthy(), width=width))) <= width
