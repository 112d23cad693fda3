"""The CRD as the API server took it, and as people meet it in kubectl."""

import json

from kubernetes import client

from integration.apiserver import ApiServer


def test_crd_is_accepted_without_objections(apiserver: ApiServer, probes: client.CustomObjectsApi) -> None:
    described = apiserver.run_kubectl("get", "crd", "datapathprobes.datapath-probe.dev", "-o", "json")
    conditions = {c["type"]: c["status"] for c in json.loads(described.stdout)["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
