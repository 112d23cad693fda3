"""A value of a ConfigMap or Secret becomes part of a command line: nothing but certificates gets there."""

import base64
import shutil
from typing import Any

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.kube.objects.ca_certificates import certificates
from datapath_probe.plan.request import CaSource
from datapath_probe.sources.curl.pem import LIMIT_BYTES
from unit.sources.curl.pki import Certificate, Pki

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
CONFIG_MAP = CaSource("ConfigMap", "cas", "ca.crt")
SECRET = CaSource("Secret", "cas", "ca.crt")


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Pki.create(tmp_path_factory.mktemp("pki")).authority("ca")


def config_map(value: object) -> dict[str, Any]:
    return {"kind": "ConfigMap", "data": {"ca.crt": value}}


def secret(value: str) -> dict[str, Any]:
    return {"kind": "Secret", "data": {"ca.crt": base64.b64encode(value.encode()).decode()}}


def refusal(found: object, source: CaSource = CONFIG_MAP) -> str:
    read = certificates(found, source)
    assert isinstance(read, Unavailable)
    assert read.reason == EvidenceError.CA_INVALID
    return read.message


def test_certificates_are_kept_and_what_is_between_them_is_not(ca: Certificate) -> None:
    value = f"# a comment {{}}\n{ca.pem}\n-H @/etc/passwd\n{ca.pem.replace(chr(10), chr(13) + chr(10))}"
    assert certificates(config_map(value), CONFIG_MAP) == ca.pem * 2
    assert certificates(secret(value), SECRET) == ca.pem * 2


def test_a_private_key_is_refused_and_not_shown(ca: Certificate) -> None:
    key = ca.key.read_text()
    for found, source in ((config_map(ca.pem + key), CONFIG_MAP), (secret(key), SECRET)):
        message = refusal(found, source)
        assert "private key" in message
        assert key.splitlines()[1] not in message


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "no certificate"),
        ("s3cr3t", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "can't be read, number 1"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", "can't be read, number 1"),
        ("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", "no certificate: X509 CRL"),
        ("-----BEGIN CERTIFICATE-----\n" * 2, "no certificate"),
        ("x" * (LIMIT_BYTES + 1), "16 KiB"),
    ],
)
def test_anything_else_is_refused(value: str, says: str) -> None:
    message = refusal(config_map(value))
    assert says in message
    assert "s3cr3t" not in message


def test_a_second_certificate_that_is_broken_is_counted(ca: Certificate) -> None:
    assert "number 2" in refusal(config_map(ca.pem + ca.pem.replace("MII", "AAA", 1)))


@pytest.mark.parametrize(
    "found", [{}, {"data": None}, {"data": {}}, {"data": {"other": "x"}}, config_map(1), None, []]
)
def test_a_key_that_does_not_exist(found: object) -> None:
    read = certificates(found, CONFIG_MAP)
    assert isinstance(read, Unavailable)
    assert (read.reason, read.message) == (
        EvidenceError.CA_NOT_FOUND,
        "there is no key ca.crt of ConfigMap cas",
    )


def test_a_secret_that_is_not_base64() -> None:
    assert "base64" in refusal({"data": {"ca.crt": "%"}}, SECRET)
