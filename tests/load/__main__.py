"""`make load`: the operator while the agents' tools are slow, hang, are truncated or print garbage, and while maps are
full.

Each scenario runs on a healthy path and on one with a wrong tunnel endpoint: the answer is right or Unknown, the run
ends within its time limit, and the operator's memory is bounded. Otherwise the exit code is 1. Uses the running lab.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from e2e import faults, galaxy
from e2e.api import Object, connect
from e2e.operator_deploy import deploy as deploy_operator
from e2e.probes import Probe, Probes
from e2e.specs import to_pod
from e2e.waiting import until
from lab.cluster import Lab
from lab.paths import CHECKOUT
from lab.shell import say
from load import fill, tools
from soak.memory import Memory

RESULT = CHECKOUT / "build/load.json"
SHIP = "xwing"
RUN_BOUND_S = 40.0
"""Twice the duration of a good run on a busy machine: requests, and all rounds of collection within their budget."""
MEMORY_BOUND_MB = 350.0
_FAULT = ("ipcache-lookup", "WrongTunnelEndpoint")

SCENARIOS: dict[str, Callable[[Lab], AbstractContextManager[None]]] = {
    "no disturbance": lambda _: nullcontext(),
    "bpftool slow: 0.5 s each": lambda lab: tools.bpftool(lab, tools.SLOW),
    "bpftool hangs": lambda lab: tools.bpftool(lab, tools.HANGING),
    "bpftool truncated": lambda lab: tools.bpftool(lab, tools.TRUNCATED),
    "bpftool prints text between JSON": lambda lab: tools.bpftool(lab, tools.VERBOSE),
    "bpftool prints endlessly": lambda lab: tools.bpftool(lab, tools.ENDLESS),
    "agents are stopped": tools.agents_stopped,
    "shells are killed during an answer": tools.shells_killed,
    "100,000 entries in ipcache and conntrack": fill.full,
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One scenario: both answers, the duration of the slower run, and the operator's memory afterwards."""

    scenario: str
    healthy: str
    broken: str
    seconds: float
    rss_mb: float
    right: bool


def attempt(
    lab: Lab, probe: Probe, memory: Memory, scenario: str, fault: AbstractContextManager[object]
) -> Tried:
    """Run the healthy path, then the one with the fault."""
    probe.settle()
    with SCENARIOS[scenario](lab):
        healthy = _run(probe)
    with fault, SCENARIOS[scenario](lab):
        broken = _run(probe)
    probe.settle()
    until("the operator's memory is known", lambda: _sampled(memory), 2 * RUN_BOUND_S)
    seconds = max(_seconds(healthy), _seconds(broken))
    blamed = broken.get("divergentHop", {})
    right_healthy = healthy["verdict"] in ("Healthy", "Unknown")
    named = (blamed.get("name"), blamed.get("reason")) == _FAULT
    right_broken = broken["verdict"] == "Unknown" or (broken["verdict"] == "Broken" and (named or not blamed))
    in_time = seconds < RUN_BOUND_S and "RunTimeout" not in (healthy.get("reason"), broken.get("reason"))
    rss_mb = memory.samples_mb[-1]
    return Tried(
        scenario=scenario,
        healthy=_answer(healthy),
        broken=_answer(broken),
        seconds=round(seconds, 1),
        rss_mb=round(rss_mb, 1),
        right=right_healthy and right_broken and in_time and rss_mb < MEMORY_BOUND_MB,
    )


def _sampled(memory: Memory) -> bool:
    """Whether there is a sample; an operator that has just started has none."""
    memory.sample()
    return bool(memory.samples_mb)


def _run(probe: Probe) -> Object:
    """The status of a new run."""
    return probe.run_now(timeout_s=2 * RUN_BOUND_S)


def _answer(status: Object) -> str:
    blamed: dict[str, Any] = status.get("divergentHop", {})
    return " ".join(part for part in (status["verdict"], blamed.get("name"), status.get("reason")) if part)


def _seconds(status: Object) -> float:
    run = status["lastRun"]
    ended, started = (datetime.fromisoformat(run[key]) for key in ("endTime", "startTime"))
    return (ended - started).total_seconds()


def try_all(lab: Lab) -> Iterator[Tried]:
    with connect(lab.kubeconfig) as api:
        operator, pods = deploy_operator(lab, api), galaxy.deploy(lab, api)
        pods.wait_at_rest()
        probes, memory = Probes(api, pods.namespace), Memory(operator)
        ship, star = pods.pod(SHIP), pods.far(SHIP)
        probe = probes.create("load", to_pod(SHIP, star))
        try:
            for scenario in SCENARIOS:
                fault = faults.wrong_tunnel_endpoint(lab, ship.node, star)
                yield attempt(lab, probe, memory, scenario, fault)
        finally:
            probes.delete_all()


def main() -> None:
    found: list[Tried] = []
    try:
        for tried in try_all(Lab.current()):
            found.append(tried)
            word = "right" if tried.right else "WRONG"
            say(f"· {word} {tried.seconds:5.1f} s {tried.rss_mb:5.0f} MB  {tried.scenario}")
            say(f"    healthy path: {tried.healthy}; with the fault: {tried.broken}")
    finally:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps([asdict(tried) for tried in found], indent=1) + "\n")
    print(f"written to {RESULT.relative_to(CHECKOUT)}")
    sys.exit(0 if all(tried.right for tried in found) else 1)


if __name__ == "__main__":
    main()
