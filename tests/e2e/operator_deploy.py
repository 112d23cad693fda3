"""The operator in the lab: its image is built from this checkout and installed with the Helm chart.

In: a lab. Out: the running operator. Called by the fixture `operator`, by `make demo` and the bench. Skips steps that
are already done.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from datapath_probe.diagnose.run.windows import DEFAULT, Windows
from e2e.api import Api, Object, is_ready
from e2e.metrics import Metrics
from e2e.release import CHART, Release
from e2e.release import NAMESPACE as NAMESPACE
from e2e.waiting import until
from lab import operatorimage
from lab.buildcache import digest
from lab.cluster import Lab
from lab.paths import CHECKOUT
from lab.shell import step

RESTRICTED = CHECKOUT / "manifests/base/namespace.yaml"
"""The namespace, with the Pod Security Standard that the operator meets."""
IMAGE, NODE_IMAGE = "datapath-probe:lab", "datapath-probe-node:lab"
TAKE_OVER = ("--take-ownership", "--force-conflicts")
"""The CRD may be there without a release, and tests change the Deployment."""
BUILT = "lab/image"
"""Annotation of the operator's pods: their image, the chart, and the windows if they are not the default ones."""

_DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/datapath-probe"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io/name=datapath-probe"


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator that runs in the lab."""

    lab: Lab
    api: Api

    def pod(self) -> Object | None:
        """Its pod, if one is ready."""
        return next((pod for pod in self.api.items(_PODS) if is_ready(pod)), None)

    def wait_ready(self, timeout_s: float = 60) -> Object:
        """Wait for its pod to be ready: inventory and probes are synced."""
        return until("the operator is ready", self.pod, timeout_s, otherwise=self.logs)

    def metrics(self) -> Metrics:
        """Its metrics now, requested on its own node, which its NetworkPolicy can't keep out."""
        pod = self.wait_ready()
        url = f"http://{pod['status']['podIP']}:8080/metrics"
        scraped = self.lab.run(pod["spec"]["nodeName"], "curl", "--silent", "--fail", "--max-time", "5", url)
        return Metrics.parse(scraped.stdout)

    def logs(self, *which: str) -> str:
        """Lines of its log, selected by options of `kubectl logs`; default: the last ones."""
        return self.lab.kubectl(
            "logs", "-n", NAMESPACE, "deployment/datapath-probe", *(which or ("--tail=20",))
        )

    def scale(self, replicas: int) -> None:
        """Start or stop it, and wait until that is done."""
        self.api.patch(_DEPLOYMENT, {"spec": {"replicas": replicas}})
        if replicas:
            self.wait_ready()
        else:
            until("the operator is gone", lambda: not self.api.items(_PODS), timeout_s=30)


def collector() -> str:
    """Which collector the tests use: that of E2E_COLLECTOR, by default node agents."""
    return os.environ.get("E2E_COLLECTOR", "auto")


def deploy(lab: Lab, api: Api, windows: Windows = DEFAULT) -> Operator:
    """Deploy the operator of this checkout and wait until it is ready. `windows`: its transition windows."""
    archives = [
        operatorimage.build(IMAGE),
        *([operatorimage.build(NODE_IMAGE, "node")] if collector() != "exec" else []),
    ]
    names = " ".join(archive.parent.name for archive in archives)
    built = f"{names} {digest(CHART)} {collector()} {_changed(windows)}".rstrip()
    operator = Operator(lab, api)
    if _running(api) != built:
        with step(f"installing the operator ({built})"):
            for archive in archives:
                lab.load_image(archive)
            lab.kubectl("apply", "--server-side", "-f", str(RESTRICTED))
            Release(lab).run("upgrade", "--install", CHART, *TAKE_OVER, values=values(built, windows))
    operator.wait_ready()
    return operator


def values(built: str, windows: Windows) -> Mapping[str, Any]:
    """Values of the chart: the images of this checkout, and the windows if they are not the default ones."""
    changed = _changed(windows)
    return {
        "nodeAgents": {
            "enabled": collector() != "exec",
            "only": collector() == "nodes",
            "image": {"tag": NODE_IMAGE.partition(":")[2]},
        },
        "image": {"tag": IMAGE.partition(":")[2]},
        "podAnnotations": {BUILT: built},
        "extraEnv": [{"name": "TRANSITION_WINDOWS", "value": changed}] if changed else [],
    }


def _changed(windows: Windows) -> str:
    """The windows that differ from the default ones, as the operator's option takes them."""
    default = asdict(DEFAULT)
    return ",".join(f"{name}={s:g}" for name, s in asdict(windows).items() if s != default[name])


def _running(api: Api) -> str | None:
    """Which build is installed."""
    deployment = api.get(_DEPLOYMENT) or {}
    template: Object = deployment.get("spec", {}).get("template", {})
    build: str | None = template.get("metadata", {}).get("annotations", {}).get(BUILT)
    return build
