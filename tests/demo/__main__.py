"""`make demo`: deploys the operator and five probes, and shows their verdicts, the next commands, and how to clean up.

`DEMO=kind` uses kind instead of the lab. If neither is possible, it shows a recorded run.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from demo.place import NoClusterError, Place, on_kind, on_lab
from e2e.metrics import Metrics
from e2e.operator_deploy import NAMESPACE
from e2e.waiting import until
from lab.paths import CHECKOUT
from lab.shell import say, step

DATAPATH_PROBE = str(Path(sys.executable).with_name("datapath-probe"))
FIRST_RUNS_S = 90
METRICS = (
    "from urllib.request import urlopen; print(urlopen('http://localhost:8080/metrics').read().decode())"
)
SHOWN = (
    "success",
    "verdict",
    "divergent_hop",
    "runs_total",
    "hop_failures_total",
    "request_duration_seconds_sum",
)


def scrape(place: Place) -> Metrics:
    """From inside the operator's pod: its NetworkPolicy keeps out the API server's proxy."""
    target = ("-n", NAMESPACE, "deployment/datapath-probe")
    return Metrics.parse(place.kubectl("exec", *target, "--", "python", "-c", METRICS))


def deploy(place: Place) -> None:
    """The Star Wars demo: pods, a Service, five probes."""
    overlay = str(CHECKOUT / "manifests/demo/overlays/lab")
    place.kubectl("apply", "--server-side", "--force-conflicts", "-k", overlay)
    place.kubectl("rollout", "status", "-n", "default", "statefulset/deathstar", "--timeout=120s")
    place.kubectl(
        "wait", "-n", "default", "--for=condition=Ready", "pod/xwing", "pod/tiefighter", "--timeout=60s"
    )


def statuses(place: Place) -> dict[str, dict[str, Any]]:
    """The status of each probe, empty before its first run."""
    items = json.loads(place.kubectl("get", "dpp", "-n", "default", "-o", "json"))["items"]
    return {item["metadata"]["name"]: item.get("status", {}) for item in items}


def wait_for_verdicts(place: Place) -> None:
    """Wait until every probe has a verdict other than Unknown; pods that have just started are in transition."""

    def verdicts() -> dict[str, str]:
        return {name: status.get("verdict", "none yet") for name, status in statuses(place).items()}

    def settled() -> bool:
        return not {"none yet", "Unknown"} & set(verdicts().values())

    until("all probes have a verdict", settled, FIRST_RUNS_S, otherwise=verdicts)


def longest_path(place: Place) -> str:
    """The probe with the most hops: the backend of a Service may be on either node."""
    hops = {name: len(status["paths"][0]["hops"]) for name, status in statuses(place).items()}
    return max(hops, key=lambda name: hops[name])


def changed(before: Metrics, after: Metrics) -> list[str]:
    """The selected metrics that are new or changed."""
    known = [(name, labels, value) for name, labels, value in before.samples]
    names = {f"datapath_probe_{name}" for name in SHOWN}
    return [
        f"{name}{{{', '.join(f'{key}={text}' for key, text in labels.items() if key != 'namespace')}}} {value:g}"
        for name, labels, value in after.samples
        if name in names and value and (name, labels, value) not in known
    ]


def show(place: Place) -> None:
    before = scrape(place)
    with step("deploying the demo, waiting for the first runs"):
        deploy(place)
        wait_for_verdicts(place)
    title("The probes: kubectl get datapathprobes")
    print(place.kubectl("get", "dpp", "-n", "default"))
    reported = f"default/{longest_path(place)}"
    title(f"One of them, hop by hop: datapath-probe report {reported}")
    place.show(DATAPATH_PROBE, "report", reported)
    title("New and changed metrics")
    print("\n".join(changed(before, scrape(place))))
    title("Next commands")
    print(
        f"""{place.enter}
kubectl describe dpp exhaust-port                 # the problem and the next step
kubectl get events --field-selector involvedObject.kind=DatapathProbe
kubectl logs -n {NAMESPACE} deployment/datapath-probe
kubectl port-forward -n {NAMESPACE} service/datapath-probe 8080   # then http://localhost:8080/metrics
{Path(DATAPATH_PROBE).relative_to(CHECKOUT)} report default/exhaust-port
Inject a fault, as tests/e2e/faults.py does, and run the report again.
Clean up: {place.remove}"""
    )


def title(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{text}{plain}\n", flush=True)


def main(where: str = "lab") -> None:
    try:
        place = on_kind() if where == "kind" else on_lab()
    except NoClusterError as reason:
        say(f"{reason} Here is a recorded run instead:\n")
        subprocess.run([DATAPATH_PROBE, "replay", "--example"], check=True)
        return
    show(place)


if __name__ == "__main__":
    main(*sys.argv[1:])
