"""The CRD as the API server accepts it, and as users see it in kubectl."""

import json

from kubernetes import client

from integration.apiserver import ApiServer


def test_the_crd_is_accepted_without_warnings(apiserver: ApiServer, probes: client.CustomObjectsApi) -> None:
    described = apiserver.run_kubectl("get", "crd", "datapathprobes.datapath-probe.dev", "-o", "json")
    conditions = {c["type"]: c["status"] for c in json.loads(described.stdout)["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
