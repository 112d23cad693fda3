"""The bpftool of real agents: batched facts get the same answers as separate ones."""

from ipaddress import ip_address

from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.kube.client import load_configuration
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.one_shot import SourceExec
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.plan.objects import Agent
from datapath_probe.sources.agent import agent_config
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.maps import conntrack, ipcache
from datapath_probe.tools.commands import argv_of
from lab.cluster import Lab

NODE = "node1"
WRONG_KEY = Layout("", ipcache_map="cilium_lxc", policy_map="")  # whose keys are shorter
FACTS = (
    bpftool.attached(NODE, "cilium_vxlan"),
    bpftool.map_id(NODE, "cilium_lxc"),
    conntrack.out_entry(NODE, ip_address("10.0.0.1"), 1, ip_address("10.0.0.2"), 80),  # absent
    bpftool.map_id(NODE, "no_such_map"),
    ipcache.lookup(NODE, WRONG_KEY, ip_address("10.0.0.1")),
    bpftool.device_link(NODE, "cilium_vxlan", "cil_to_overlay"),
    bpftool.prog(NODE, 2**31),
    agent_config.fact(NODE),
    bpftool.attached(NODE, "eth0"),
    bpftool.map_id(NODE, "cilium_ipcache_v2"),
)


def content(fact: Fact, reading: Reading) -> tuple[int | None, bytes, bytes] | Reading:
    if not isinstance(reading, Answer):
        return reading
    # alone, bpftool exits with 255 after it has shown a link; in a batch it goes on
    exit_code = None if fact.kind is FactKind.DEVICE_PROGRAM_LINK else reading.exit_code
    return exit_code, reading.stdout, reading.stderr


async def test_batched_facts_get_the_same_answers_as_separate_ones(lab: Lab) -> None:
    agent = Agent(NODE, "kube-system", lab.agent_pod(NODE), "cilium-agent", ready=True, incarnation="")
    client = ExecClient(await load_configuration(str(lab.kubeconfig)))
    pool = ChannelPool(client)
    container = ContainerRef(agent.namespace, agent.pod, agent.container, uid="")
    try:
        together = await ShellAgents(pool, lambda _: agent).ask(NODE, FACTS)
        alone = [
            await SourceExec(client).run(
                container, argv_of(fact), stdin=None, timeout_s=20, stdout_limit=100_000
            )
            for fact in FACTS
        ]
    finally:
        await pool.close()
        await client.close()
    assert all(isinstance(reading, Answer) for reading in alone)
    assert list(map(content, FACTS, together)) == list(map(content, FACTS, alone))
