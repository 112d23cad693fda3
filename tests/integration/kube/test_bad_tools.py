"""Whole runs while the agent's tools are slow, unresponsive, truncated or print garbage: the result is right or
Unknown, and bounded in time and memory. Real shells and processes; the tools print what was recorded on the lab, unless
configured otherwise.
"""

import json
import os
import stat
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.reading import Answer
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.exec_clients import ExecClients
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.runs.runner import ProbeRunner
from datapath_probe.sources.iproute2 import links
from datapath_probe.tools.commands import argv_of
from integration.kube.exec_server import ExecServer, exec_server
from unit.recorded import recorded
from unit.runs.recorded_cluster import RecordedPort, Recording, inventory_of, probe_of
from unit.sources.golden import printed

WHOLE, BROKEN = "healthy-same-node", "endpoint-entry-missing-same-node"
BUDGET_S, AMPLE_S = 2.0, 20.0
BOUND_S = 45.0
"""All rounds of both looks within their budgets, on a machine that is busy with other tests."""
MEMORY_BOUND = 64 * 1024 * 1024

TOOL = """#!{python}
import json, os, signal, sys, time
from pathlib import Path
folder, name = Path(__file__).parent, Path(__file__).name
with (folder / "starts").open("a") as starts:
    starts.write(name + "\\n")
recorded = {{tuple(argv): rest for argv, *rest in json.loads((folder / "recorded.json").read_text())}}
def answer(argv):
    if argv not in recorded and argv[0] == "cat":  # the shell's own script may need it
        os.execv("/bin/cat", argv)
    code, out, err = recorded.get(argv, (1, "", "not recorded"))
    sys.stderr.write(err)
    return code, out
mode = (folder / "mode").read_text()
if mode == "agent hangs" and (name == "hubble" or sys.argv[1:2] in (["endpoint"], ["policy"], ["monitor"])):
    time.sleep(600)
if name != "bpftool":
    mode = ""
if mode == "slow":
    time.sleep(0.3)
if mode == "hangs":
    time.sleep(600)
if mode == "kills its shell":
    os.kill(os.getppid(), signal.SIGKILL)
while mode == "does not stop":
    sys.stdout.write('{{"id": 1}}' * 1000)
if sys.argv[1:3] == ["-j", "batch"]:
    parts, code = [], 0
    for line in sys.stdin:
        words = line.split()
        code, out = answer((name, "-j", *words))
        parts.append('{{"command":%s,"output":%s}}' % (json.dumps(words, separators=(",", ":")), out.strip()))
        if code:
            break
    out = "[" + ",".join(parts) + "]\\n"
else:
    code, out = answer((name, *sys.argv[1:]))
if mode == "is cut short":
    out = out[: len(out) // 2]
if mode == "talks between":
    out = "libbpf: no BTF at {{/sys}}\\n" + out + "WARN [1]\\n"
sys.stdout.write(out)
sys.stdout.flush()
sys.exit(code)
"""
AGENT_HANGS = "agent hangs"
MODES = [
    AGENT_HANGS,
    "slow",
    "hangs",
    "is cut short",
    "talks between",
    "does not stop",
    "kills its shell",
]
SILENCES = [
    (AGENT_HANGS, ("cilium-dbg", "hubble"), Reason.AGENT_NOT_RESPONDING),
    ("hangs", ("bpftool",), Reason.EVIDENCE_TIMEOUT),
]


@dataclass
class Bench:
    """Tools in the PATH of the agents' shells; `pool` runs them."""

    folder: Path
    pool: ChannelPool
    server: ExecServer

    def starts(self, *programs: str) -> int:
        """How often these programs were started."""
        return sum(name in programs for name in (self.folder / "starts").read_text().split())

    def install(self, run: PathRun, mode: str) -> None:
        """Install every recorded program with its recorded answers; bpftool runs in this mode."""
        answers = [
            (
                argv_of(fact),
                reading.exit_code,
                reading.stdout.decode("latin-1"),
                reading.stderr.decode("latin-1"),
            )
            for fact, readings in run.evidence
            if isinstance(reading := readings[-1], Answer)
        ]
        (self.folder / "recorded.json").write_text(json.dumps(answers))
        (self.folder / "mode").write_text(mode)
        for name in {argv[0] for argv, *_ in answers}:
            tool = self.folder / name
            tool.write_text(TOOL.format(python=sys.executable))
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR)

    async def diagnosis(self, run: PathRun, budget_s: float) -> Diagnosis:
        """One run of the recorded probe. `budget_s`: the agent's time limit for each round of facts."""
        agents = ShellAgents(self.pool, inventory_of(run.plan).agent, budget_s=budget_s)
        runner = ProbeRunner(
            inventory_of(run.plan),
            AnswerCache(agents),
            ExecClients(Recording(run)),
            time.time,
            RecordedPort(run.request.local_port),
        )
        outcome = (await runner.run(probe_of(run))).worst
        assert isinstance(outcome, Diagnosis)
        return outcome


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with exec_server() as server:
        client = ExecClient(server.configuration())
        pool = ChannelPool(client, idle_s=60.0)
        yield Bench(tmp_path, pool, server)
        await pool.close()
        await client.close()


def with_routes(run: PathRun) -> PathRun:
    """The run with the routes from its node to its pods, which are newer than the recording."""
    pods = [run.plan.source.ip, *(backend.ip for backend in run.plan.backends)]
    facts = [links.route_to(run.plan.source.pod.node, ip) for ip in pods]
    routes = [printed(json.dumps([{"dst": str(ip), "dev": "cilium_host", "flags": []}])) for ip in pods]
    return replace(run, evidence=run.evidence.adding(facts, routes))


async def timed(bench: Bench, name: str, mode: str, budget_s: float = BUDGET_S) -> Diagnosis:
    run = with_routes(recorded(name))
    bench.install(run, mode)
    began = time.monotonic()
    diagnosis = await bench.diagnosis(run, budget_s)
    assert time.monotonic() - began < BOUND_S
    return diagnosis


async def test_working_tools_give_the_recorded_verdicts(bench: Bench) -> None:
    whole = await timed(bench, WHOLE, "works", AMPLE_S)
    assert whole.verdict is ProbeVerdict.HEALTHY, whole.message
    broken = await timed(bench, BROKEN, "works", AMPLE_S)
    assert broken.divergence is not None
    assert broken.divergence.hop is HopName.ENDPOINT_LOOKUP


@pytest.mark.parametrize("mode", MODES)
async def test_a_healthy_path_is_not_blamed(bench: Bench, mode: str) -> None:
    diagnosis = await timed(bench, WHOLE, mode)
    assert diagnosis.verdict in (ProbeVerdict.HEALTHY, ProbeVerdict.UNKNOWN), diagnosis.message


@pytest.mark.parametrize("mode", MODES)
async def test_no_other_hop_is_blamed_for_a_fault(bench: Bench, mode: str) -> None:
    diagnosis = await timed(bench, BROKEN, mode)
    blamed = diagnosis.divergence.hop if diagnosis.divergence else None
    assert diagnosis.verdict in (ProbeVerdict.BROKEN, ProbeVerdict.UNKNOWN)
    assert blamed in (None, HopName.ENDPOINT_LOOKUP), diagnosis.message


@pytest.mark.parametrize(("mode", "programs", "reason"), SILENCES)
async def test_an_unresponsive_tool_costs_a_run_one_timeout(
    bench: Bench, mode: str, programs: tuple[str, ...], reason: Reason
) -> None:
    diagnosis = await timed(bench, BROKEN, mode, AMPLE_S)
    assert diagnosis.met is False, "the request is judged by itself"
    assert reason in {finding.reason for finding in diagnosis.findings}
    assert bench.starts(*programs) == 1


async def test_an_unresponsive_channel_costs_a_run_one_timeout(bench: Bench) -> None:
    await timed(bench, WHOLE, "works", AMPLE_S)
    execs, bench.server.is_mute = len(bench.server.requests), True
    diagnosis = await timed(bench, WHOLE, "works", AMPLE_S)
    assert diagnosis.met
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.AGENT_NOT_RESPONDING)
    assert len(bench.server.requests) == execs, "no further channel was tried"


async def test_endless_output_costs_bounded_memory(bench: Bench) -> None:
    tracemalloc.start()
    try:
        await timed(bench, WHOLE, "does not stop")
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BOUND
    finally:
        tracemalloc.stop()
