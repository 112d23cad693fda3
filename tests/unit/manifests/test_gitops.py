"""What Argo CD and Flux make of the statuses that the operator writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml
from lupa import lua51

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.status import status as statuses
from unit.publish.samples import CANNOT_RUN, NOW, diverging, healthy, lost, probe, unjudged, unknown
from unit.publish.status.after_runs import after

GITOPS = Path(__file__).parents[3] / "manifests/gitops"
HEALTH_KEY = "resource.customizations.health.datapath-probe.dev_DatapathProbe"
SOURCE_STARTS = CannotRun(Reason.SOURCE_NOT_RUNNING, "default/xwing is Pending", source="default/xwing")

# Status, health in Argo CD, status in Flux.
CASES: dict[str, tuple[ProbeStatus, str, str]] = {
    "healthy": (after([healthy()]), "Healthy", "Current"),
    "broken": (after([diverging()]), "Degraded", "Failed"),
    "lost in a segment": (after([lost()]), "Degraded", "Failed"),
    "a latent fault": (after([diverging(ProbeVerdict.DEGRADED)]), "Degraded", "Failed"),
    "unknown": (after([unknown()]), "Progressing", "InProgress"),
    "unknown after healthy": (after([healthy(), unknown()]), "Progressing", "InProgress"),
    "the source starts": (after([SOURCE_STARTS]), "Progressing", "InProgress"),
    "no source": (after([CANNOT_RUN]), "Degraded", "Failed"),
    "met on a path that can't be judged": (after([unjudged(met=True)]), "Healthy", "Current"),
    "failed on a path that can't be judged": (after([unjudged(met=False)]), "Degraded", "Failed"),
    "met, with a hop that can't be judged": (after([unknown(met=True)]), "Healthy", "Current"),
    "an invalid spec": (
        statuses.stalled(after([healthy()]), probe().meta, Reason.INVALID_SPEC, "spec: no", NOW),
        "Degraded",
        "Failed",
    ),
    "below the threshold": (
        after([healthy(), diverging()], probe(threshold={"failures": 2})),
        "Healthy",
        "Current",
    ),
}


def an_object(status: ProbeStatus | None, generation: int = 1, suspend: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"metadata": {"generation": generation}, "spec": {"suspend": suspend}}
    return made if status is None else {**made, "status": status.to_object()}


def argo_cd(probe: Mapping[str, Any]) -> tuple[str, str]:
    """Health and message, in Lua 5.1 without libraries that Argo CD does not offer."""
    script = yaml.safe_load((GITOPS / "argocd-cm.yaml").read_text())["data"][HEALTH_KEY]
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    for library in ("os", "io", "package", "require", "debug"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(probe, recursive=True)
    found = lua.execute(script)
    return found.status, found.message


def flux(probe: Mapping[str, Any]) -> str:
    """The status by the rules of Flux's evaluator: the generation, in progress, failed, current, in progress."""
    (checks,) = yaml.safe_load((GITOPS / "flux-kustomization.yaml").read_text())["spec"]["healthCheckExprs"]
    assert (checks.pop("apiVersion"), checks.pop("kind")) == ("datapath-probe.dev/v1alpha1", "DatapathProbe")
    if probe["status"]["observedGeneration"] != probe["metadata"]["generation"]:
        return "InProgress"
    for name in ("inProgress", "failed", "current"):
        result = cel.evaluate(checks[name], dict(probe))
        assert isinstance(result, bool)
        if result:
            return name[0].upper() + name[1:]
    return "InProgress"


@pytest.mark.parametrize(("status", "health", "_"), CASES.values(), ids=CASES)
def test_health_in_argo_cd(status: ProbeStatus, health: str, _: str) -> None:
    assert argo_cd(an_object(status))[0] == health


@pytest.mark.parametrize(("status", "_", "expected"), CASES.values(), ids=CASES)
def test_status_in_flux(status: ProbeStatus, _: str, expected: str) -> None:
    assert flux(an_object(status)) == expected


def test_a_new_probe_and_a_changed_one_are_in_progress() -> None:
    assert argo_cd(an_object(None)) == ("Progressing", "the first run has not ended")
    assert argo_cd(an_object(ProbeStatus())) == ("Progressing", "no run with this spec has ended")
    changed = an_object(after([diverging()]), generation=2)
    assert argo_cd(changed) == ("Progressing", "no run with this spec has ended")
    assert flux(changed) == "InProgress"


@pytest.mark.parametrize("before", [ProbeStatus(), after([healthy()]), after([diverging()])])
def test_a_suspended_probe_blocks_nothing(before: ProbeStatus) -> None:
    suspended = an_object(statuses.suspended(before, probe(suspend=True), NOW), suspend=True)
    assert argo_cd(suspended)[0] == "Suspended"
    assert flux(suspended) == "Current"


def test_a_broken_path_says_why() -> None:
    _, message = argo_cd(an_object(after([diverging()])))
    assert message.startswith("Broken at ipcache-lookup on node2: WrongTunnelEndpoint")
    _, message = argo_cd(an_object(after([diverging(ProbeVerdict.DEGRADED)])))
    assert message.startswith("Degraded at ipcache-lookup on node2")
