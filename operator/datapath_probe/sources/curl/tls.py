"""What curl reports about TLS: why a handshake failed, and when the server's certificate expires. Called by `report`.

Source: curl 7.74–8.23 `lib/vtls/openssl.c`, `lib/vtls/x509asn1.c` (dates); OpenSSL `x509_vfy.h` (verify results).
"""

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from ..client_report import ClientFailure
from .curl_exit import CurlExit

_UNKNOWN_CA = dict.fromkeys((2, 18, 19, 20, 21, 27), ClientFailure.UNKNOWN_CA)
_VERIFY_RESULTS: Final = MappingProxyType(
    _UNKNOWN_CA
    | {
        9: ClientFailure.CERTIFICATE_NOT_YET_VALID,
        10: ClientFailure.CERTIFICATE_EXPIRED,
        62: ClientFailure.CERTIFICATE_NAME_MISMATCH,
    }
)
_NOT_VERIFIED = (0, 1)  # X509_V_OK, X509_V_ERR_UNSPECIFIED: curl compares names itself, after OpenSSL
_OTHER_NAME = re.compile("subject name|does not match")
# Alerts of servers: 116 in TLS 1.3, 42 before, and in answer to no certificate at all.
_WANTS_CERTIFICATE = re.compile("alert (certificate required|bad certificate)")
_ENDED = re.compile("[Cc]onnection reset|SSL_ERROR_SYSCALL|unexpected eof")

_EXPIRY = re.compile(r"^Expire date:[^\n]{1,40}$", re.MULTILINE)
_DATES = (
    "%b %d %H:%M:%S %Y GMT",
    "%Y-%m-%d %H:%M:%S GMT",
)  # of OpenSSL; of other libraries, as curl parses them


def tls_failure(exit_code: int, error: str, verify_result: int) -> ClientFailure | None:
    """Why TLS failed; None if it did not. Before 7.75 there is no `error`."""
    if exit_code == CurlExit.PEER_FAILED_VERIFICATION:
        if verify_result in _VERIFY_RESULTS:
            return _VERIFY_RESULTS[verify_result]
        named = bool(_OTHER_NAME.search(error)) or (not error and verify_result in _NOT_VERIFIED)
        return ClientFailure.CERTIFICATE_NAME_MISMATCH if named else ClientFailure.CERTIFICATE_INVALID
    if exit_code == CurlExit.SSL_CLIENTCERT:
        return ClientFailure.CLIENT_CERTIFICATE_REQUIRED
    if exit_code in (CurlExit.SSL_CONNECT_ERROR, CurlExit.RECV_ERROR) and _WANTS_CERTIFICATE.search(error):
        return ClientFailure.CLIENT_CERTIFICATE_REQUIRED
    if exit_code == CurlExit.SSL_CONNECT_ERROR:
        return ClientFailure.CUT_SHORT if _ENDED.search(error) else ClientFailure.HANDSHAKE_FAILED
    if exit_code == CurlExit.SSL_INVALIDCERTSTATUS:
        return ClientFailure.CERTIFICATE_INVALID
    return ClientFailure.TRUST_STORE_UNREADABLE if exit_code == CurlExit.SSL_CACERT_BADFILE else None


def expiry_line(certificates: object) -> str:
    """The line with the expiry of the first certificate, the server's own; "" without one (before curl 7.88)."""
    found = _EXPIRY.search(certificates) if isinstance(certificates, str) else None
    return found[0] if found else ""


def certificate_expiry(certificates: str) -> float | None:
    """When the server's certificate expires, in seconds since the epoch; None if it is not reported."""
    shown = expiry_line(certificates).partition(":")[2]
    for form in _DATES if shown else ():
        try:
            return datetime.strptime(shown, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None
