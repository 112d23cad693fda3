"""The Helm chart as helm 3 and helm 4 render it. Skips the test if this machine has not built them."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kustomize import MANIFESTS, Object
from lab.settings import KUBERNETES_VERSION
from programs import newest_build

CHART = MANIFESTS.parent / "charts/datapath-probe"
VERSIONS = {"helm 3": "helm", "helm 4": "helm-4"}
"""Version → module of the lab."""

Values = Mapping[str, Any]


def program(version: str) -> Path:
    """Path of this version of helm."""
    found = newest_build(VERSIONS[version], "helm")
    if found is None:
        pytest.skip(f"needs {version}: run `make programs` once")
    return found


def run(
    version: str, *argv: str | Path, values: Values | None = None, kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run helm in the checkout until it ends; it may fail."""
    given = ("--values", "-") if values else ()
    cluster = {"KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": f"{kubeconfig}-discovery"} if kubeconfig else {}
    return subprocess.run(
        [program(version), *argv, *given],
        env={**os.environ, **cluster},
        cwd=CHART.parents[1],
        input=json.dumps(values) if values else None,
        capture_output=True,
        text=True,
        check=False,
    )


def template(version: str, values: Values | None = None, chart: Path = CHART) -> tuple[Object, ...]:
    """The objects of the chart with these values, in the namespace that the manifests have, too."""
    where = ("--namespace", "datapath-probe", "--kube-version", KUBERNETES_VERSION)
    rendered = run(version, "template", "release", chart, *where, values=values)
    assert rendered.returncode == 0, rendered.stderr
    return tuple(one for one in yaml.safe_load_all(rendered.stdout) if one)
