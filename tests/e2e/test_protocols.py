"""HTTPS and TCP: the server is not confused with the path, and certificates come from the namespace of the probe."""

import base64
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from datapath_probe.sources.curl.pem import LIMIT_BYTES
from e2e.api import Api, Object
from e2e.galaxy import NAMESPACE, Galaxy
from e2e.operator_deploy import Operator
from e2e.probes import Probes, brief, divergence, facts, hop
from e2e.specs import LANDING, secure, to_pod
from e2e.waiting import until
from faults.inject import application, tls
from faults.inject.policies import Direction, enforced, policy
from lab.cluster import Lab

CERTIFICATES = {
    "untrusted": "UnknownCA",
    "misnamed": "CertificateNameMismatch",
    "expired": "CertificateExpired",
    "none": "TLSHandshakeFailed",
}
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
RBAC = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"
SHIP = "xwing"


def test_https_with_a_ca_of_the_namespace(probes: Probes, galaxy: Galaxy, operator: Operator) -> None:
    status = probes.create(
        "https", {**secure(SHIP, galaxy.far(SHIP)), "expect": {"certificateExpiresAfter": "336h"}}
    ).settle()
    request = status["paths"][0]["request"]
    assert request["httpStatus"] == 200
    assert request["certificateExpires"].startswith("2099-01-01T00:00:00")
    assert {"connect", "tls", "firstByte", "total"} <= request["timings"].keys()
    assert "nameLookup" in request["timings"]
    response = facts(status, "destination-response", "observed")
    assert response["tls"].endswith(" ms")
    name = {"namespace": NAMESPACE, "probe": "https"}

    def expiry() -> float | None:
        return operator.metrics().value("datapath_probe_certificate_expiry_timestamp_seconds", **name)

    # a scrape may be as old as the status is new
    until("a scrape has the certificate", expiry, timeout_s=10)
    assert expiry() == datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    assert operator.metrics().value("datapath_probe_request_phase_seconds", phase="tls", **name)


def test_the_server_name_is_the_host_of_the_request(probes: Probes, galaxy: Galaxy) -> None:
    spec = secure(SHIP, galaxy.far(SHIP))
    status = probes.create(
        "server-name", {**spec, "expect": {"bodyContains": "Host: deathstar.e2e.svc\n"}}
    ).settle()
    assert status["paths"][0]["request"]["remoteIP"] == galaxy.far(SHIP).ip


def test_https_to_a_service_by_its_name(probes: Probes, galaxy: Galaxy, api: Api) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/services"
    ports = [{"name": "https", "port": 8443, "targetPort": 443}]
    service = {"metadata": {"name": "secure"}, "spec": {"selector": {"class": "deathstar"}, "ports": ports}}
    api.create(path, {"apiVersion": "v1", "kind": "Service", **service})
    try:
        spec = secure(SHIP, galaxy.far(SHIP), caFrom={"configMap": {"name": "tls", "key": "ca.crt"}})
        destination = {"service": {"name": "secure", "port": "https"}}
        status = probes.create("https-service", {**spec, "destination": destination}).settle()
        assert hop(status, "name-resolution")["verdict"] == "Ok"
        assert hop(status, "service-translation")["verdict"] == "Ok"
    finally:
        api.delete(f"{path}/secure")


@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_a_server_that_can_not_be_trusted_is_the_cause(
    probes: Probes, galaxy: Galaxy, certificate: str
) -> None:
    far = galaxy.far(SHIP)
    probe = probes.create(f"https-{certificate}", secure(SHIP, far))
    probe.settle()
    with tls.certificate(galaxy, far, certificate):
        status = probe.run_now()
        assert divergence(status) == (
            "Broken",
            "destination-response",
            far.node,
            CERTIFICATES[certificate],
        ), brief(status)
        others = {
            one["verdict"] for one in status["paths"][0]["hops"] if one["name"] != "destination-response"
        }
        assert others == {"Ok"}, brief(status)
    probe.settle()


def test_a_certificate_that_expires_soon_degrades(probes: Probes, galaxy: Galaxy) -> None:
    far = galaxy.far(SHIP)
    spec = secure(SHIP, far, insecureSkipVerify=True)
    probe = probes.create("expires-soon", {**spec, "expect": {"certificateExpiresAfter": "336h"}})
    probe.settle()
    with tls.certificate(galaxy, far, "expired"):
        status = probe.run_now()
        assert (status["verdict"], status["reason"]) == ("Degraded", "CertificateExpiresSoon"), brief(status)


@pytest.fixture
def secret(api: Api, lab: Lab) -> Iterator[str]:
    """A Secret with the CA of the servers."""
    value = lab.kubectl("get", "configmap", "-n", NAMESPACE, "tls", "-o", "jsonpath={.data.ca\\.crt}")
    data = {"ca.crt": base64.b64encode(value.encode()).decode()}
    api.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ca"}, "data": data})
    yield "ca"
    api.delete(f"{SECRETS}/ca")


def test_as_many_cas_as_fit(probes: Probes, galaxy: Galaxy, api: Api, lab: Lab) -> None:
    """The command of an exec is part of a URL, which the API server and the kubelet must accept."""
    one = lab.kubectl("get", "configmap", "-n", NAMESPACE, "tls", "-o", "jsonpath={.data.ca\\.crt}")
    data = {"ca.crt": one * (LIMIT_BYTES // len(one))}
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    api.create(path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cas"}, "data": data})
    try:
        trusted = {"configMap": {"name": "cas", "key": "ca.crt"}}
        spec = secure(SHIP, galaxy.far(SHIP), caFrom=trusted, serverName="deathstar.e2e.svc")
        probes.create("many-cas", spec).settle()
    finally:
        api.delete(f"{path}/cas")


@pytest.fixture
def role(lab: Lab, secret: str) -> Iterator[list[str]]:
    """Commands that let the operator read this Secret; undone."""
    yield [
        "create",
        "role",
        "datapath-probe-ca",
        "-n",
        NAMESPACE,
        "--verb=get",
        "--resource=secrets",
        f"--resource-name={secret}",
    ]
    for kind in ("role", "rolebinding"):
        lab.kubectl("delete", kind, "-n", NAMESPACE, "datapath-probe-ca", "--ignore-not-found")


def test_a_secret_is_read_only_with_a_role(probes: Probes, galaxy: Galaxy, lab: Lab, role: list[str]) -> None:
    tls_ = {"caFrom": {"secret": {"name": "ca", "key": "ca.crt"}}, "serverName": "deathstar.e2e.svc"}
    probe = probes.create("ca-secret", secure(SHIP, galaxy.far(SHIP), **tls_))
    status = probe.run_until("CAForbidden", lambda status: status["reason"] == "CAForbidden")
    assert status["verdict"] == "Unknown"
    assert hop(status, "ipcache-lookup")["verdict"] == "Ok"
    lab.kubectl(*role)
    account = "--serviceaccount=datapath-probe:datapath-probe"
    lab.kubectl(
        "create", "rolebinding", "datapath-probe-ca", "-n", NAMESPACE, "--role=datapath-probe-ca", account
    )
    probe.settle()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"name": "missing", "key": "ca.crt"}, "CANotFound"),
        ({"name": "tls", "key": "missing"}, "CANotFound"),
        ({"name": "tls", "key": "server.key"}, "CAInvalid"),
        ({"name": "tls", "key": "server.py"}, "CAInvalid"),
    ],
)
def test_what_is_no_ca_is_a_reason_and_nothing_is_sent(
    probes: Probes, galaxy: Galaxy, source: Object, reason: str
) -> None:
    spec = secure(SHIP, galaxy.far(SHIP), caFrom={"configMap": source})
    status = probes.create(f"ca-{source['name']}-{source['key'].replace('.', '-')}", spec).run_now()
    assert (status["verdict"], status["reason"]) == ("Unknown", reason), brief(status)
    assert "PRIVATE KEY" not in str(status)


def tcp(galaxy: Galaxy, port: int = 80, **expect: object) -> Object:
    """A connection to the far deathstar."""
    request = {"protocol": "TCP", "timeout": LANDING["timeout"]}
    return {**to_pod(SHIP, galaxy.far(SHIP), port), "request": request, "expect": expect}


@pytest.mark.parametrize("port", [80, 443])
def test_tcp_connects_and_waits_for_nothing(probes: Probes, galaxy: Galaxy, port: int) -> None:
    probe = probes.create(f"tcp-{port}", tcp(galaxy, port, maxLatency="1500ms"))
    status = probe.settle()
    timings = status["paths"][0]["request"]["timings"]
    assert {"connect", "total"} <= timings.keys()
    assert not {"tls", "firstByte"} & timings.keys()
    began = time.monotonic()
    assert probe.run_now()["verdict"] == "Healthy"
    assert time.monotonic() - began < 30


def test_a_port_where_nothing_listens_is_refused_by_the_pod(probes: Probes, galaxy: Galaxy) -> None:
    far = galaxy.far(SHIP)
    probe = probes.create("tcp-refused", tcp(galaxy))
    probe.settle()
    with application.stopped(galaxy, far):
        status = probe.run_now()
        assert divergence(status) == ("Broken", "destination-response", far.node, "ConnectionRefused"), brief(
            status
        )
    probe.settle()


def test_tcp_that_is_denied_as_expected(probes: Probes, galaxy: Galaxy, lab: Lab) -> None:
    far, ship = galaxy.far(SHIP), galaxy.pod(SHIP)
    probe = probes.create("tcp-denied", tcp(galaxy, outcome="Denied"))
    status = probe.run_now()
    assert (status["verdict"], status["reason"]) == ("Broken", "PolicyNotEnforced"), brief(status)
    assert "the connection was established" in status["summary"]
    stars = {"podSelector": {"matchLabels": {"class": "deathstar"}}, "policyTypes": ["Ingress"]}
    denial = policy("NetworkPolicy", stars)
    with enforced(lab, galaxy.api, denial, far, Direction.INGRESS, ship.identity):
        status = probe.settle()
        assert "default deny by NetworkPolicy e2e/faults" in status["summary"], brief(status)
