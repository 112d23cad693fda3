"""Records the output of the programs of a live cluster: the test data of `sources`.

PYTHONPATH=tests python tests/data/record.py NAMESPACE CLIENT SERVER SERVICE FOLDER

In: a kubeconfig (KUBECONFIG) and two pods on different nodes, both with the lab's image `tests/lab/images/app`; the
server is a backend of the Service. Out: in FOLDER one JSON file for each module of `sources`: by name, the question
(fact, node, argv, stdin) and the answer (exit code, stdout, stderr; bytes as Latin-1). Sends a dozen requests, and
changes nothing.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from data import asked
from data.asked import End
from data.recorder import Recorder
from datapath_probe.addresses import IpFamily
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.one_shot import SourceExec
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.kube.watch.inventory import ClusterInventory
from datapath_probe.sources import netns
from datapath_probe.sources.agent import agent_endpoint
from datapath_probe.sources.agent.agent_endpoint import AgentEndpoint
from datapath_probe.sources.bpf import bpftool, map_layout
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.maps import conntrack, lbmap
from datapath_probe.sources.maps.conntrack import CtEntry
from datapath_probe.sources.maps.lbmap import BackendRecord, Frontend, ServiceSlot

MAX_REQUESTS = 50  # until the Service selects the server


async def record_node(recorder: Recorder, client: End, server: End) -> None:
    """What the agent knows and has programmed, in the order in which answers lead to further facts."""
    node = client.node
    await recorder.ask_all(asked.of_endpoints(client, server))
    maps = map_layout.parse(await recorder.ask("layout", "version", map_layout.version(node)))
    endpoint = agent_endpoint.fact(node, client.endpoint)
    agent = agent_endpoint.parse(await recorder.ask("agent_endpoint", "client", endpoint))
    namespaces = netns.parse(await recorder.ask("netns", "namespaces", netns.find(node)))
    policy = bpftool.policy_call(node, client.endpoint)
    program = bpftool.parse_call(await recorder.ask("bpftool", "policy program", policy))
    assert isinstance(maps, Layout), maps
    assert isinstance(agent, AgentEndpoint), agent
    assert isinstance(program, int), program
    assert isinstance(namespaces, dict), namespaces
    await recorder.ask_all(asked.of_ipcache(client, server, maps))
    await recorder.ask_all(asked.of_policy(client, server, maps))
    await recorder.ask_all(asked.of_programs(client, agent, program))
    await recorder.ask_all(asked.of_devices(client, server, agent, namespaces[client.ip][0]))


async def record_service(recorder: Recorder, client: End, server: End, name: str, vip: Frontend) -> None:
    """Requests to the Service until it selects the server, and the entries of the last one."""
    node = client.node
    slot = lbmap.parse_slot(await recorder.ask("lbmap", "slot 0", lbmap.slot(node, vip, 0)))
    assert isinstance(slot, ServiceSlot), slot
    for _ in range(MAX_REQUESTS):
        port = await recorder.request("delivered", name)
        fact = conntrack.service_entry(node, client.ip, port, vip.ip, vip.port)
        entry = conntrack.parse(await recorder.ask("conntrack", "service: SVC", fact))
        assert isinstance(entry, CtEntry), entry
        chosen = lbmap.backend(node, entry.backend_id, IpFamily.IPV4)
        backend = lbmap.parse_backend(await recorder.ask("lbmap", "backend", chosen))
        if isinstance(backend, BackendRecord) and backend.ip == server.ip:
            break
    else:
        sys.exit(f"{name} never chose {server.ip}")
    await recorder.ask_all(asked.of_service(node, vip, slot))
    await recorder.ask_all(asked.of_connection("service", replace(client, port=port), server))


async def record_requests(recorder: Recorder, client: End, server: End) -> None:
    """Requests to the server itself, most of which fail."""
    port = await recorder.request("refused", str(server.ip), port=81)
    closed = replace(server, port=81)
    await recorder.ask_all(asked.of_connection("refused", replace(client, port=port), closed))
    await recorder.request("not resolved", "unknown.invalid")
    await recorder.request("no connection", str(asked.unused(server.ip)), timeout_s=1.5)
    await recorder.request("unavailable", str(server.ip), path="/status/503")
    await recorder.request("reset", str(server.ip), path="/reset")
    await recorder.request("head", str(server.ip), method="HEAD", path="/status/204", keep_body=False)
    slow = asyncio.create_task(
        recorder.request("no answer", str(server.ip), path="/slow?ms=6000", local_port=19999, timeout_s=3)
    )
    await asyncio.sleep(1.5)
    await recorder.request("port in use", str(server.ip), local_port=19999)
    await slow


def end(inventory: ClusterInventory, namespace: str, name: str) -> End:
    """A pod of the cluster, with its endpoint."""
    pod = inventory.pod(namespace, name)
    endpoint = inventory.cilium_endpoint(namespace, name)
    if not (pod and pod.ip and endpoint and endpoint.node_ip):
        sys.exit(f"there is no pod {namespace}/{name} with an endpoint")
    return End(pod.node, pod.ip, 80, endpoint.endpoint_id, endpoint.identity, endpoint.node_ip)


async def record(namespace: str, client: str, server: str, service: str) -> Mapping[str, object]:
    """All recordings, by file."""
    configuration = await load_configuration()
    async with connect(configuration) as api:
        inventory, exec_client = ClusterInventory(api, "kube-system"), ExecClient(configuration)
        watching = asyncio.create_task(inventory.run())
        await inventory.wait_synced()
        source, target = end(inventory, namespace, client), end(inventory, namespace, server)
        pod, frontend = inventory.pod(namespace, client), inventory.service(namespace, service)
        if not (pod and frontend and frontend.cluster_ip):
            sys.exit(f"there is no Service {namespace}/{service}")
        container = ContainerRef(namespace, client, pod.containers[0].name, pod.uid)
        pool = ChannelPool(exec_client)
        recorder = Recorder(ShellAgents(pool, inventory.agent), SourceExec(exec_client), container)
        await record_node(recorder, source, target)
        vip = Frontend(frontend.cluster_ip, 80)
        await record_service(recorder, source, target, f"{service}.{namespace}.svc", vip)
        await record_requests(recorder, source, target)
        watching.cancel()
        await pool.close()
        await exec_client.close()
    return recorder.files


def main(*pods: str, folder: str) -> None:
    """Record into the folder."""
    for name, answers in asyncio.run(record(*pods)).items():
        (Path(folder) / f"{name}.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:5], folder=sys.argv[5])
