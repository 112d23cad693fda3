"""The certificates that curl is to trust: PEM, and nothing else, because they become a word of its command line. Pure.

Called by all that receive such certificates from elsewhere: `kube.objects.ca_certificates` and `nodes.agent`.
"""

import base64
import binascii
import re
import ssl

LIMIT_BYTES = 16 * 1024
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----")
_CERTIFICATE = "CERTIFICATE"


def only_certificates(value: str) -> str:
    """The certificates as PEM, without comments. Raises ValueError: the rest of a sentence that does not show them."""
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
