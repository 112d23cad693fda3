"""Node agents and commands in Cilium's containers tell the same of a node."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import pytest

from datapath_probe.api.probe import Probe
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.exec_clients import ExecClients
from datapath_probe.kube.exec.one_shot import SourceExec
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.kube.watch.inventory import ClusterInventory
from datapath_probe.runs.runner import ProbeRunner
from datapath_probe.sources import netns
from datapath_probe.sources.agent import agent_config, agent_endpoint, policy_selectors
from datapath_probe.sources.bpf import bpftool
from e2e import node_agents, operator_deploy
from e2e.node_agent_client import Question
from e2e.operator_deploy import Operator
from e2e.probes import Probe as LabProbe
from lab.cluster import Lab

CHANGING = frozenset(
    (
        FactKind.FLOWS,
        FactKind.ICMP_FLOWS,
        FactKind.NEWEST_FLOW,
        FactKind.UPTIME,
        FactKind.KERNEL_COUNTERS,
        FactKind.BPF_METRICS,
        FactKind.MAP_PRESSURE,
        FactKind.CONNTRACK_ENTRY,
        FactKind.NAT_ENTRY,
        FactKind.LINK_COUNTERS,
        FactKind.SOCKETS,
        FactKind.KERNEL_CONNTRACK_ENTRY,
    )
)
"""What is different a moment later: only that there is an answer is compared."""
COUNTED = re.compile(rb"\[\d+:\d+\]|^#.*$", re.MULTILINE)
PARSED: Mapping[FactKind, Callable[[Reading], object]] = {
    FactKind.NAMESPACE_ADDRESSES: netns.parse,
    FactKind.NAMESPACE_DEVICES: netns.parse_survey,
    FactKind.AGENT_ENDPOINT: agent_endpoint.parse,
    FactKind.AGENT_ENDPOINT_BY_ADDRESS: agent_endpoint.parse,
    FactKind.POLICY_SELECTORS: policy_selectors.parse,
    FactKind.AGENT_CONFIG: agent_config.parse,
    FactKind.ENDPOINT_PROGRAM_LINK: bpftool.parse_link,
    FactKind.DEVICE_PROGRAM_LINK: bpftool.parse_link,
    FactKind.CGROUP_PROGRAM_LINK: bpftool.parse_link,
    FactKind.IPTABLES_RULES: lambda reading: (
        COUNTED.sub(b"", reading.stdout) if isinstance(reading, Answer) else None
    ),
}
"""What is formatted differently, or contains what changes: what the parser makes of it is compared."""
VOLATILE = frozenset(("expires", "used", "stats64", "bytes_memlock", "packets", "bytes", "refcnt"))


async def by_commands(lab: Lab, names: Iterable[str]) -> tuple[dict[Fact, Reading], Question]:
    """What runs of these probes ask by commands, and the same question to node agents."""
    configuration = await load_configuration(str(lab.kubeconfig))
    async with connect(configuration) as client:
        inventory = ClusterInventory(client, "kube-system", node_namespace=node_agents.NAMESPACE)
        following = asyncio.create_task(inventory.run())
        exec_client = ExecClient(configuration)
        pool = ChannelPool(exec_client)
        try:
            await inventory.wait_synced()
            shells = ShellAgents(pool, inventory.agent)
            runner = ProbeRunner(inventory, AnswerCache(shells), ExecClients(SourceExec(exec_client)))
            found: dict[Fact, Reading] = {}
            for name in names:
                raw = json.loads(lab.kubectl("get", "dpp", "-n", "default", name, "-o", "json"))
                raw["spec"]["source"]["client"] = "Container"
                probe = Probe.from_object(raw)
                assert isinstance(probe, Probe)
                for bundle in (await runner.run(probe, fresh=True)).bundles:
                    found |= {fact: readings[-1] for fact, readings in bundle.run.evidence}
            agents = {node: inventory.node_agent(node) for node in {fact.node for fact in found}}
            known = {node: agent for node, agent in agents.items() if agent}
            # again, so that both are asked at the same time
            again = tuple(found)
            by_node = {node: [fact for fact in again if fact.node == node] for node in known}
            for node, facts in by_node.items():
                found |= zip(facts, await shells.ask(node, facts), strict=True)
            return found, Question(again, known, node_agents.identity(lab))
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await pool.close()
            await exec_client.close()


def content(fact: Fact, reading: Reading) -> object:
    """What both must agree on."""
    if not isinstance(reading, Answer):
        return str(reading.reason)
    if fact.kind in CHANGING:
        return "an answer"
    if fact.kind in PARSED:
        return PARSED[fact.kind](reading)
    try:
        return _stable(json.loads(reading.stdout)), reading.exit_code == 0
    except ValueError:
        return reading.stdout, reading.exit_code == 0


def _stable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _stable(inner) for key, inner in value.items() if key not in VOLATILE}
    return [_stable(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.skipif(operator_deploy.collector() == "exec", reason="without node agents")
async def test_both_collectors_say_the_same(lab: Lab, operator: Operator, demo: dict[str, LabProbe]) -> None:
    commands, question = await by_commands(lab, demo)
    assert {fact.node for fact in commands} == question.agents.keys()
    agents = node_agents.ask(lab, question)
    different = {
        str(fact): (content(fact, commands[fact]), content(fact, agents[fact]))
        for fact in commands
        if content(fact, commands[fact]) != content(fact, agents[fact])
    }
    assert not different, "\n".join(f"{fact}\n  {a}\n  {b}" for fact, (a, b) in different.items())
    assert len(commands) > 100
