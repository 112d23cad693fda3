"""A ConfigMap or Secret → the certificates in one of its keys. Called by `kube.ca_reader`. Pure.

A value is copied into the command line of a user's container: it must be certificates and nothing else, and is not
shown in any message.
"""

import base64
import binascii

from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from ...plan.request import CaSource
from ...sources.curl.pem import only_certificates
from .fields import at, text


def certificates(found: object, source: CaSource) -> str | Unavailable:
    """The certificates as PEM, without comments."""
    try:
        value = _value(found, source)
        return value if isinstance(value, Unavailable) else only_certificates(value)
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
