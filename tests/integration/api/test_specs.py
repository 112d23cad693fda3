"""Which specs the API server accepts and rejects, and its messages."""

import json

import pytest
from kubernetes import client

from datapath_probe.api.probe import Probe
from integration.api.creating import create
from unit.api.spec_parts import Refused, Spec
from unit.api.specs import INVALID, VALID


@pytest.mark.parametrize("spec", VALID.values(), ids=VALID.keys())
def test_valid_specs_reach_the_operator_as_written(probes: client.CustomObjectsApi, spec: Spec) -> None:
    stored = create(probes, spec)
    from_server = Probe.from_object(stored)
    as_written = Probe.from_object({**stored, "spec": spec})
    assert isinstance(from_server, Probe)
    assert from_server == as_written  # so the defaults of both are the same


@pytest.mark.parametrize("refused", INVALID.values(), ids=INVALID.keys())
def test_invalid_specs_are_rejected_with_the_valid_values(
    probes: client.CustomObjectsApi, refused: Refused
) -> None:
    with pytest.raises(client.ApiException) as raised:
        create(probes, refused.spec)
    assert raised.value.status in (400, 422)
    assert refused.says in json.loads(raised.value.body or "")["message"]


def test_a_minimal_spec_gets_the_documented_defaults(probes: client.CustomObjectsApi) -> None:
    assert create(probes, VALID["the least, to a Service"])["spec"] == {
        "suspend": False,
        "source": {"pod": "xwing", "client": "Auto"},
        "destination": {"service": {"name": "deathstar", "port": 80, "frontend": "ClusterIP"}},
        "ipFamily": "Any",
        "request": {"protocol": "HTTP", "method": "GET", "path": "/", "timeout": "5s"},
        "expect": {"outcome": "Delivered"},
        "threshold": {"failures": 1, "successes": 1},
        "history": {"limit": 10},
    }
