"""A PodMonitor as Prometheus gets it: the scrape configuration that prometheus-operator generates from it, and the
targets that discovery of pods finds. Debian's Prometheus is built without that discovery, so a file takes its place.

In: a PodMonitor and pods. Out: configuration and targets. Called by `configuration` and the e2e tests. Pure.

Source: prometheus-operator 0.85 `pkg/prometheus/promcfg.go` (`generatePodMonitorConfig`), Prometheus 2.42
`discovery/kubernetes/pod.go`.
"""

import re
from collections.abc import Iterator, Sequence

from kustomize import Object

_META = "__meta_kubernetes_"
_POD = f"{_META}pod_"


def scrape_config(monitor: Object, targets_file: str) -> Object:
    """The scrape configuration of its first endpoint."""
    metadata, spec = monitor["metadata"], monitor["spec"]
    [endpoint] = spec["podMetricsEndpoints"]
    return {
        "job_name": f"podMonitor/{metadata['namespace']}/{metadata['name']}/0",
        "honor_labels": endpoint.get("honorLabels", False),
        "scrape_interval": endpoint["interval"],
        "file_sd_configs": [{"files": [targets_file], "refresh_interval": "1s"}],
        "relabel_configs": [
            {"action": "drop", "source_labels": [f"{_POD}phase"], "regex": "(Failed|Succeeded)"},
            *(
                {"action": "keep", "source_labels": [f"{_POD}label_{_sanitized(name)}"], "regex": value}
                for name, value in spec["selector"]["matchLabels"].items()
            ),
            {
                "action": "keep",
                "source_labels": [f"{_POD}container_port_name"],
                "regex": endpoint["port"],
            },
            {"source_labels": [f"{_META}namespace"], "target_label": "namespace"},
            {"source_labels": [f"{_POD}container_name"], "target_label": "container"},
            {"source_labels": [f"{_POD}name"], "target_label": "pod"},
            {"target_label": "job", "replacement": f"{metadata['namespace']}/{metadata['name']}"},
            {"target_label": "endpoint", "replacement": endpoint["port"]},
        ],
    }


def targets(pods: Sequence[Object]) -> list[Object]:
    """The targets of these pods, one for each port, with the labels that relabeling reads."""
    return [target for pod in pods if pod["status"].get("podIP") for target in _targets(pod)]


def _targets(pod: Object) -> Iterator[Object]:
    metadata, status = pod["metadata"], pod["status"]
    of_pod = {
        f"{_META}namespace": metadata["namespace"],
        f"{_POD}name": metadata["name"],
        f"{_POD}phase": status["phase"],
        **{f"{_POD}label_{_sanitized(name)}": value for name, value in metadata["labels"].items()},
    }
    for container in pod["spec"]["containers"]:
        for port in container["ports"]:
            of_port = {
                f"{_POD}container_name": container["name"],
                f"{_POD}container_port_name": port["name"],
            }
            address = f"{status['podIP']}:{port['containerPort']}"
            yield {"targets": [address], "labels": {**of_pod, **of_port}}


def _sanitized(label: str) -> str:
    return re.sub(r"\W", "_", label)
