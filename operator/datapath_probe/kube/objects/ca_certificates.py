"""A ConfigMap or Secret → the certificates in one of its keys. Called by `kube.ca_reader`. Pure.

A value is copied into the command line of a user's container: it must be certificates and nothing else, and is not
shown in any message.
"""

import base64
import binascii
import re
import ssl

from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from ...plan.request import CaSource
from .fields import at, text

LIMIT_BYTES = 16 * 1024
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----")
_CERTIFICATE = "CERTIFICATE"


def certificates(found: object, source: CaSource) -> str | Unavailable:
    """The certificates as PEM, without comments."""
    try:
        value = _value(found, source)
        return value if isinstance(value, Unavailable) else _certificates(value)
    except ValueError as error:
        return Unavailable(EvidenceError.CA_INVALID, f"{source} {error}")


def _value(found: object, source: CaSource) -> str | Unavailable:
    shown = text(found, "data", source.key)
    if not isinstance(at(found, "data", source.key), str):
        return Unavailable(EvidenceError.CA_NOT_FOUND, f"there is no {source}")
    if source.kind == "ConfigMap":
        return shown
    try:
        return base64.b64decode(shown, validate=True).decode("ascii", "replace")
    except binascii.Error:
        raise ValueError("is not base64") from None


def _certificates(value: str) -> str:
    """Raises ValueError: the rest of a sentence about the value."""
    if "PRIVATE KEY" in value:
        raise ValueError("has a private key: store the certificate of the CA alone")
    if len(value) > LIMIT_BYTES:
        raise ValueError(f"is longer than {LIMIT_BYTES // 1024} KiB: store the CA of this server alone")
    blocks = [block.groups() for block in _BLOCK.finditer(value)]
    other = next((kind for kind, _ in blocks if kind != _CERTIFICATE), None)
    if other is not None:
        raise ValueError(f"has a PEM block that is no certificate: {other}")
    if not blocks:
        raise ValueError("has no certificate in PEM")
    return "".join(_checked(encoded, number) for number, (_, encoded) in enumerate(blocks, 1))


def _checked(encoded: str, number: int) -> str:
    try:
        der = base64.b64decode("".join(encoded.split()), validate=True)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (binascii.Error, ssl.SSLError):
        raise ValueError(f"has a certificate that can't be read, number {number}") from None
    return ssl.DER_cert_to_PEM_cert(der)
