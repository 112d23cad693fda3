"""The CA of an installation, and the certificates that it issues: one role each, for 90 days. Pure, but for the keys.

In: the time. Out: PEM. Called by `kube.node_certificates`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE, LEAF_LIFE = timedelta(days=3650), timedelta(days=90)
# Clocks of nodes differ.
_BEFORE = timedelta(hours=1)
_CA_NAME: Final = "datapath-probe"


class Role(Enum):
    """Who presents a certificate. The value: its name in the certificate."""

    OPERATOR = "operator.datapath-probe"
    NODE = "node.datapath-probe"


_USAGE: Final = {
    Role.OPERATOR: ExtendedKeyUsageOID.CLIENT_AUTH,
    Role.NODE: ExtendedKeyUsageOID.SERVER_AUTH,
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """What one side presents, and the CA that the other side's certificate must be of. PEM."""

    pair: Pair
    authority: bytes


def new_authority(now: datetime) -> Pair:
    """A new CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _CA_NAME)])
    certificate = (
        _builder(name, name, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate, key)


def issue(authority: Pair, role: Role, now: datetime) -> Identity:
    """A certificate of this CA for a role. Raises ValueError if the CA can't be read."""
    ca = x509.load_pem_x509_certificate(authority.certificate)
    ca_key = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey) or ca_key.public_key() != ca.public_key():
        raise ValueError("the key of the CA is not that of its certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, role.value)])
    certificate = (
        _builder(name, ca.subject, key.public_key(), now, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGE[role]]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(role.value)]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Identity(_pem(certificate, key), authority.certificate)


def is_due(certificate: bytes, now: datetime) -> bool:
    """Whether a certificate has to be renewed: a third of its life is left, or it can't be read."""
    try:
        read = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return True
    start, end = read.not_valid_before_utc, read.not_valid_after_utc
    return not start <= now < end - (end - start) / 3


def is_of(certificate: bytes, authority: bytes) -> bool:
    """Whether a certificate is one that this CA has issued."""
    try:
        issuer = x509.load_pem_x509_certificate(authority)
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(issuer)
    except Exception:  # cryptography raises what its backend does
        return False
    return True


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    start = now.astimezone(UTC) - _BEFORE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
