"""Node agents without an operator in the cluster: the DaemonSet of `manifests/nodes`, with the image of this checkout.

In: a lab. Out: running agents, once an operator has issued their certificate. Called by the fault bench.
"""

from e2e.operator_deploy import NODE_IMAGE
from lab import operatorimage
from lab.cluster import Lab
from lab.paths import CHECKOUT
from lab.shell import step

NAMESPACE = "datapath-probe-nodes"
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
