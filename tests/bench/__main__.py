"""`make bench`: the duration of a probe run by either collector, compared with the same work by hand and with a bare
exec of its curl.

Uses the running lab. Each round takes one sample of each, so that other load on the machine affects all alike. The
probe runs in this process with the operator's own components, over channels that are already open.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count

import structlog

from bench import probe_memory
from bench.by_hand import Names, exercises
from bench.operator_cpu import cpu_ms_per_verdict
from bench.result import Result
from datapath_probe.api.probe import Probe
from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.exec_clients import ExecClients
from datapath_probe.kube.exec.one_shot import SourceExec
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.kube.watch.inventory import ClusterInventory
from datapath_probe.nodes.address import NodeAgentAddress
from datapath_probe.nodes.client.connections import Connections
from datapath_probe.nodes.client.node_agents import NodeAgents
from datapath_probe.nodes.client.node_clients import NodeClients
from datapath_probe.runs.runner import ProbeRunner
from e2e import api as lab_api
from e2e import galaxy, node_agents
from e2e.by_hand import Commands
from e2e.specs import SERVICE, landing
from lab.cluster import Lab
from lab.paths import CHECKOUT
from lab.shell import say

NodeAddresses = dict[str, NodeAgentAddress]
ROUNDS = 15
WARM_UP = 3
SHIP = "xwing"
RESULT = CHECKOUT / "build/bench.json"
# Not the ports of probes or of the last bench: curl cannot bind to a port that was used just now.
_OTHER_PORTS = 15_000 + int(time.time()) % 4_000


class RecordingExec(SourceExec):
    """Runs curl like the operator, and records the last call so that it can be repeated."""

    last: tuple[ContainerRef, tuple[str, ...], bytes | None, float, int]

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        self.last = (target, tuple(argv), stdin, timeout_s, stdout_limit)
        return await super().run(target, argv, stdin=stdin, timeout_s=timeout_s, stdout_limit=stdout_limit)


@dataclass(frozen=True, slots=True)
class Bench:
    """The measured operations, ready to be repeated."""

    lab: Lab
    names: Names
    probe: Probe
    runner: ProbeRunner
    node_runner: ProbeRunner
    source_exec: RecordingExec
    ports: Iterator[int]

    async def by_hand(self) -> None:
        for command in exercises(self.names):
            await asyncio.to_thread(self.lab.kubectl, *command)

    async def probe_run(self) -> None:
        """By commands in containers."""
        await self._run(self.runner)

    async def node_run(self) -> None:
        """By node agents."""
        await self._run(self.node_runner)

    async def _run(self, runner: ProbeRunner) -> None:
        """Raises RuntimeError if the probe is not Healthy: then the measurement is meaningless."""
        outcome = (await runner.run(self.probe)).worst
        if not isinstance(outcome, Diagnosis) or outcome.verdict is not ProbeVerdict.HEALTHY:
            raise RuntimeError(f"the probe is not Healthy: {outcome.message}")

    async def bare_exec(self) -> None:
        """Raises RuntimeError if curl fails."""
        target, argv, stdin, timeout_s, stdout_limit = self.source_exec.last
        at = argv.index("--local-port") + 1
        argv = (*argv[:at], str(next(self.ports)), *argv[at + 1 :])
        done = await SourceExec.run(
            self.source_exec, target, argv, stdin=stdin, timeout_s=timeout_s, stdout_limit=stdout_limit
        )
        if not isinstance(done, Answer) or done.exit_code != 0:
            raise RuntimeError(f"curl failed: {done}")


async def measure(bench: Bench, operator_cpu_ms: float, bytes_per_probe: int) -> Result:
    """Measure all in rounds."""
    for _ in range(WARM_UP):
        await bench.probe_run()
        await bench.node_run()
    rounds = []
    for number in range(1, ROUNDS + 1):
        say(f"· round {number} of {ROUNDS} …")
        kinds = bench.by_hand, bench.bare_exec, bench.probe_run, bench.node_run
        rounds.append([await _seconds(work()) for work in kinds])
    by_hand_s, bare_exec_s, probe_run_s, node_run_s = (
        tuple(samples) for samples in zip(*rounds, strict=True)
    )
    return Result(by_hand_s, bare_exec_s, probe_run_s, node_run_s, operator_cpu_ms, bytes_per_probe)


async def _seconds(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


@asynccontextmanager
async def _runners(
    lab: Lab, agents: NodeAddresses
) -> AsyncIterator[tuple[ProbeRunner, ProbeRunner, RecordingExec]]:
    """The operator's runners on the lab, assembled as in `kube.cluster`: by commands, and by node agents."""
    configuration = await load_configuration(str(lab.kubeconfig))
    identity = node_agents.identity(lab)
    async with connect(configuration) as client:
        inventory = ClusterInventory(client, "kube-system")
        connections = Connections(lambda: identity)
        following = asyncio.create_task(inventory.run())
        exec_client = ExecClient(configuration)
        pool, source_exec = ChannelPool(exec_client), RecordingExec(exec_client)
        try:
            await inventory.wait_synced()
            by_exec = AnswerCache(ShellAgents(pool, inventory.agent))
            by_node = AnswerCache(NodeAgents(connections, agents.get))
            yield (
                ProbeRunner(inventory, by_exec, ExecClients(source_exec)),
                ProbeRunner(inventory, by_node, NodeClients(connections, agents.get)),
                source_exec,
            )
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await connections.close()
            await pool.close()
            await exec_client.close()


def _names(lab: Lab, pods: galaxy.Galaxy) -> Names:
    source, destination = pods.pod(SHIP), pods.far(SHIP)
    commands = Commands(lab)

    def lxc(pod: galaxy.Pod) -> str:
        inside = commands.pod_interface(pod.namespace, pod.name)
        return str(commands.node_interface(pod.node, inside["link_index"])["ifname"])

    return Names(
        namespace=source.namespace,
        source=source.name,
        source_node=source.node,
        source_agent=lab.agent_pod(source.node),
        source_lxc=lxc(source),
        destination_ip=destination.ip,
        destination_agent=lab.agent_pod(destination.node),
        destination_lxc=lxc(destination),
    )


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    say("· memory per probe …")
    bytes_per_probe = probe_memory.measured_alone().bytes
    lab = Lab.current()
    with lab_api.connect(lab.kubeconfig) as api:
        names = _names(lab, galaxy.deploy(lab, api))
        operator_cpu_ms = cpu_ms_per_verdict(lab, api, names.namespace, SHIP)
        addresses = node_agents.addresses(api)
    metadata = {"namespace": names.namespace, "name": "bench", "uid": "bench", "generation": 1}
    spec = landing(SHIP, SERVICE)
    probe = Probe.from_object({"metadata": metadata, "spec": spec})
    assert isinstance(probe, Probe)
    with node_agents.forwarded(lab, addresses) as agents:
        async with _runners(lab, agents) as (runner, node_runner, source_exec):
            bench = Bench(lab, names, probe, runner, node_runner, source_exec, count(_OTHER_PORTS))
            result = await measure(bench, operator_cpu_ms, bytes_per_probe)
    result.write(RESULT)
    print(f"{result.table()}\nwritten to {RESULT.relative_to(CHECKOUT)}")


if __name__ == "__main__":
    asyncio.run(main())
