"""Creates probes in a real API server with dry-run."""

from typing import Any

from kubernetes import client

from unit.api.spec_parts import Spec


def create(probes: client.CustomObjectsApi, spec: Spec) -> dict[str, Any]:
    """Create a probe with dry-run. The API server prunes, defaults and validates it as usual."""
    created = probes.create_namespaced_custom_object(
        group="datapath-probe.dev",
        version="v1alpha1",
        namespace="default",
        plural="datapathprobes",
        body={
            "apiVersion": "datapath-probe.dev/v1alpha1",
            "kind": "DatapathProbe",
            "metadata": {"name": "probe"},
            "spec": spec,
        },
        dry_run="All",
        field_validation="Strict",
    )
    assert isinstance(created, dict)
    return created
