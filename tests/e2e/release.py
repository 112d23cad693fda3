"""The release of the Helm chart in the lab.

In: a chart and values. Out: the operator, installed or removed. Called by `operator_deploy` and the test of the chart.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.cluster import Lab
from lab.gobuild import HELM_4, GoModule
from lab.paths import CHECKOUT
from lab.shell import run

CHART = CHECKOUT / "charts/datapath-probe"
NAMESPACE = NAME = "datapath-probe"
READY_S = 180


@dataclass(frozen=True, slots=True)
class Release:
    """The one release of a lab, as seen by one version of helm."""

    lab: Lab
    helm: GoModule = HELM_4

    def run(self, command: str, *argv: str | Path, values: Mapping[str, Any] | None = None) -> str:
        """stdout of a command of helm, which waits until the operator is ready or gone. Raises LabError."""
        given = () if values is None else ("--values", "-")
        return run(
            *(self.helm.build() / "helm", command, NAME, *argv, *given),
            *("--namespace", NAMESPACE, "--wait", f"--timeout={READY_S}s"),
            env={**os.environ, "KUBECONFIG": str(self.lab.kubeconfig)},
            stdin=None if values is None else json.dumps(values),
        ).stdout
