"""Node agents of a lab: asked directly, or installed without an operator in the cluster.

In: a lab. Out: readings; or running agents, once an operator has issued their certificate. Called by tests and by the
fault bench.
"""

import base64
import json
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from datapath_probe.addresses import address
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Reading
from datapath_probe.kube.node_certificates import CA_SECRET
from datapath_probe.kube.objects.fields import Skips
from datapath_probe.kube.objects.node_agent_objects import LABEL, NAME, node_agent
from datapath_probe.nodes.address import NodeAgentAddress
from datapath_probe.nodes.certificates.authority import Identity, Pair, Role, issue
from e2e.api import Api
from e2e.node_agent_client import Question
from e2e.operator_deploy import NODE_IMAGE
from lab import forward, operatorimage
from lab.cluster import Lab
from lab.paths import CHECKOUT, STATE
from lab.processes import Process
from lab.shell import step

NAMESPACE = "datapath-probe-nodes"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={LABEL}={NAME}"
_FOLDER = CHECKOUT / "manifests/nodes"
_FILES = ("namespace", "certificates", "daemonset")
_RELEASED = "datapath-probe-node:dev"


def deploy(lab: Lab) -> None:
    """Install the node agents; they are not ready yet."""
    archive = operatorimage.build(NODE_IMAGE, "node")
    with step("installing node agents"):
        lab.load_image(archive)
        for name in _FILES:
            manifest = (_FOLDER / f"{name}.yaml").read_text().replace(_RELEASED, NODE_IMAGE)
            lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)


def wait_ready(lab: Lab) -> None:
    """Wait until each node has a ready agent."""
    rollout = ("rollout", "status", "-n", NAMESPACE, "daemonset/datapath-probe-node", "--timeout=180s")
    lab.kubectl(*rollout)


def identity(lab: Lab, role: Role = Role.OPERATOR) -> Identity:
    """What somebody with this role presents."""
    secret = json.loads(lab.kubectl("get", "secret", "-n", NAMESPACE, CA_SECRET, "-o", "json"))["data"]
    ca = Pair(base64.b64decode(secret["tls.crt"]), base64.b64decode(secret["tls.key"]))
    return issue(ca, role, datetime.now(UTC))


def addresses(api: Api) -> dict[str, NodeAgentAddress]:
    """Where the agents listen, by node."""
    found = (node_agent(pod, Skips()) for pod in api.items(PODS))
    return {agent.node: agent for agent in found if agent}


def ask(lab: Lab, question: Question) -> dict[Fact, Reading]:
    """Ask from inside a node."""
    paths = f"PYTHONPATH={CHECKOUT / 'operator'}:{CHECKOUT / 'tests'}"
    asked = lab.node("node1").run(
        *("env", paths, sys.executable, "-m", "e2e.node_agent_client"),
        stdin=base64.b64encode(pickle.dumps(question)).decode(),
    )
    found: dict[Fact, Reading] = pickle.loads(base64.b64decode(asked.stdout))  # noqa: S301  # our own
    return found


@contextmanager
def forwarded(lab: Lab, agents: Mapping[str, NodeAgentAddress]) -> Iterator[dict[str, NodeAgentAddress]]:
    """The same agents, as the machine reaches them."""
    started: list[Process] = []
    ports = {}
    try:
        for node, agent in agents.items():
            record = STATE / f"forward-{node}.json"
            ports[node] = forward.start(lab.node("node1"), to=(str(agent.ip), agent.port), record=record)
            process = Process.load(record)
            assert process is not None
            started.append(process)
        here = address("127.0.0.1")
        yield {node: replace(agent, ip=here, port=ports[node]) for node, agent in agents.items()}
    finally:
        for process in started:
            process.stop()
