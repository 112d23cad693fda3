"""The hop-by-hop report of a run, for a terminal.

In: a `ProbeStatus`, from the API server or from a saved bundle. Out: renderables of rich. Called by `cli`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ...addresses import with_port
from ...api.status.hop_result import HopRef, HopResult, WitnessReport
from ...api.status.path_result import PathResult, RequestResult, Timings
from ...api.status.probe_status import ProbeStatus
from ...api.vocabulary import HopVerdict, ProbeVerdict, Stance
from .packet_report import packet_report
from .paths_report import path_text, paths_table
from .style import HOP_MARKS, VERDICT_STYLES, plain

_STANCE_MARKS = {
    Stance.AGREES: ("✓", "green"),
    Stance.CONTRADICTS: ("✗", "red"),
    Stance.SILENT: ("–", "bright_black"),
}
_SILENT = ("–", "bright_black")
_NODE_STYLES = ("cyan", "blue", "bright_magenta", "bright_yellow")
_PHASE_STYLES = ("magenta", "cyan", "blue", "yellow", "green")
_BAR_CELLS = 32
_LEGEND = "I intent: desired by Kubernetes · P programmed: state of the datapath · O observed: what this request did"


@dataclass(frozen=True, slots=True)
class Heading:
    """What the status does not contain: the probe's name, and the request, "POST http://…"."""

    probe: str
    request: str


def report(heading: Heading, status: ProbeStatus, *, facts: bool = True) -> Iterator[RenderableType]:
    """The parts of the report, in order. `facts`: also show the evidence values of each hop."""
    yield _title(heading, status)
    if len(status.paths) > 1:
        yield from paths_table(status)
    for path in status.paths[:1]:  # the worst; the table lists the others
        yield plain(path_text(status, path))
        yield Text("")
        yield _request(heading, path.source.ip, path.request)
        yield Text("")
        yield _hops(path, facts)
        yield Text(f"\n{_LEGEND}\n", style="bright_black")
    if status.capture:
        yield from packet_report(status.capture)
    yield _conclusion(status)


def _title(heading: Heading, status: ProbeStatus) -> Text:
    verdict = status.verdict
    title = plain(heading.probe, "bold")
    if verdict:
        title.append("  ").append(f" {verdict} ", style=f"bold reverse {VERDICT_STYLES[verdict]}")
    if status.last_run:
        when = status.last_run.end_time.strftime("%Y-%m-%d %H:%M:%S UTC")
        title.append(f"  {when}, run {status.last_run.id}", style="bright_black")
    return title


def _request(heading: Heading, source_ip: str, request: RequestResult | None) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bright_black")
    table.add_row("request", plain(heading.request))
    if request is None:
        table.add_row("answer", "none: curl gave no report")
        return table
    remote = f" to {with_port(request.remote_ip, request.remote_port)}" if request.remote_ip else ""
    table.add_row("sent", plain(f"from {with_port(source_ip, request.local_port)}{remote}"))
    answer = f"HTTP {request.http_status}" if request.http_status else f"curl exit {request.exit_code}"
    total = f" in {request.timings.total}" if request.timings.total else ""
    table.add_row("answer", plain(answer + total + (f", {request.error}" if request.error else "")))
    phases = list(_phases(request.timings))
    if phases:
        table.add_row("", _bar(phases))
    return table


def _phases(timings: Timings) -> Iterator[tuple[str, float]]:
    """Each phase that was reached, with its own duration in seconds: curl reports times since the start."""
    ends = [
        (name, _seconds(end))
        for name, end in (
            ("name", timings.name_lookup),
            ("connect", timings.connect),
            ("TLS", timings.tls),
            ("first byte", timings.first_byte),
            ("rest" if timings.first_byte else "waiting", timings.total),
        )
        if end
    ]
    for (_, begin), (name, end) in pairwise([("", 0.0), *ends]):
        yield name, max(0.0, end - begin)


def _seconds(duration: str) -> float:
    """The seconds of a duration as the status writes it: "7.6ms", "1.25s"."""
    return float(duration[:-2]) / 1000 if duration.endswith("ms") else float(duration[:-1])


def _bar(phases: Sequence[tuple[str, float]]) -> Text:
    """How the time is divided: a bar, and the durations of its parts."""
    total = sum(seconds for _, seconds in phases) or 1.0
    bar, words = Text(), Text()
    for (name, seconds), style in zip(phases, _PHASE_STYLES, strict=False):
        bar.append("━" * round(_BAR_CELLS * seconds / total), style=style)
        words.append(f"  {name} {seconds * 1000:.1f}ms", style=style)
    return bar + words


def _hops(path: PathResult, facts: bool) -> Table:
    nodes = list(dict.fromkeys(hop.node for hop in path.hops))
    styles = {node: _NODE_STYLES[number % len(_NODE_STYLES)] for number, node in enumerate(nodes)}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bright_black", pad_edge=False)
    table.add_column("")
    for name in ("hop", "node", "I P O"):
        table.add_column(name, no_wrap=True)
    table.add_column("what was found", ratio=1)
    for hop in path.hops:
        mark, style = HOP_MARKS[hop.verdict]
        name_style = "" if hop.verdict is HopVerdict.OK else f"bold {style}"
        table.add_row(
            Text(mark, style=f"bold {style}"),
            Text(hop.name, style=name_style),
            plain(hop.node, styles[hop.node]),
            _stances(hop),
            _found(hop, facts),
        )
    return table


def _stances(hop: HopResult) -> Text:
    evidence = hop.evidence
    witnesses = (evidence.intent, evidence.programmed, evidence.observed)
    marks = (_STANCE_MARKS[witness.stance] if witness else _SILENT for witness in witnesses)
    return Text(" ").join(Text(mark, style=style) for mark, style in marks)


def _found(hop: HopResult, facts: bool) -> Text:
    """The message, the statements of the witnesses if the hop is not Ok, and the evidence values."""
    lines = []
    if hop.verdict is HopVerdict.OK:
        lines.append(plain(hop.message or ""))
    else:
        lines.append(plain(f"{hop.reason}: {hop.message}", HOP_MARKS[hop.verdict][1]))
    evidence = hop.evidence
    witnesses = {"intent": evidence.intent, "programmed": evidence.programmed, "observed": evidence.observed}
    if hop.verdict is not HopVerdict.OK:
        lines += [_witness_line(name, witness) for name, witness in witnesses.items() if witness]
    elif facts:
        values = _values(evidence.programmed, evidence.observed) or _values(evidence.intent)
        if values:
            lines.append(_dim(values))
    return Text("\n").join(lines)


def _witness_line(name: str, witness: WitnessReport) -> Text:
    mark, style = _STANCE_MARKS[witness.stance]
    text = (
        Text(f"{mark} ", style=style).append(f"{name}: ", "bright_black").append_text(plain(witness.summary))
    )
    values = _values(witness)
    return text.append("  ").append_text(_dim(values)) if values else text


def _values(*witnesses: WitnessReport | None) -> Mapping[str, str]:
    """The evidence values of these witnesses, without duplicates."""
    merged: dict[str, str] = {}
    for witness in witnesses:
        if witness:
            merged |= {key: value for key, value in witness.facts.items() if value and key not in merged}
    return merged


def _dim(values: Mapping[str, str]) -> Text:
    return plain(" · ".join(f"{key}={value}" for key, value in values.items()), "bright_black")


def _conclusion(status: ProbeStatus) -> RenderableType:
    """The verdict, and if it is not Healthy, the reason and what to do next."""
    verdict = status.verdict
    if verdict is None:
        return Text("no run has ended yet", style="bright_black")
    style = VERDICT_STYLES[verdict]
    if verdict is ProbeVerdict.HEALTHY:
        return Text("✓ ", style=f"bold {style}").append_text(plain(status.summary or ""))
    body = Table.grid(padding=(0, 2))
    body.add_column(style="bright_black", no_wrap=True)
    body.add_column(ratio=1)
    if len(status.paths) > 1:
        body.add_row("paths", plain((status.summary or "").partition(". ")[0]))
    body.add_row("why", plain(_why(status)))
    step = status.divergent_hop.next if status.divergent_hop else status.next
    if step:
        body.add_row("next", plain(step, "bold"))
    for path in status.paths[:1]:
        if path.symptom:
            body.add_row("symptom", plain(_symptom(path.symptom)))
        for assumption in path.assumptions:
            body.add_row("assumed", plain(f"{assumption.hop}: {assumption.message}"))
    title = plain(f"{_place(status)} · {status.reason}", f"bold {style}")
    return Panel(body, title=title, title_align="left", border_style=style)


def _symptom(symptom: HopRef) -> str:
    return f"packets were lost at {symptom.name} on {symptom.node}: {symptom.message}"


def _place(status: ProbeStatus) -> str:
    if status.divergent_hop:
        return f"{status.verdict} at {status.divergent_hop.name} on {status.divergent_hop.node}"
    if status.segment:
        return f"{status.verdict} between {status.segment.after} and {status.segment.before}"
    return str(status.verdict)


def _why(status: ProbeStatus) -> str:
    """Only the message, from the divergent hop or the summary."""
    if status.divergent_hop:
        return status.divergent_hop.message
    ends = path_text(status, status.paths[0] if status.paths else None)
    prefix, summary = f"{_place(status)}: {status.reason}: ", status.summary or ""
    _, found, message = summary.partition(prefix)  # with several paths, the counts by verdict come first
    return (message if found else summary).removesuffix(f" ({ends})")
