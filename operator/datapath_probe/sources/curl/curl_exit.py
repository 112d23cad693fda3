"""The exit codes of curl that say something about the path or the server. Called by `report` and `tls`.

Source: curl 7.70–8.23 `include/curl/curl.h`.
"""

from enum import IntEnum


class CurlExit(IntEnum):
    """All others are failures of curl itself."""

    OK = 0
    UNSUPPORTED_PROTOCOL = 1  # after connecting: the response is not HTTP
    COULDNT_RESOLVE_HOST = 6
    COULDNT_CONNECT = 7
    WEIRD_SERVER_REPLY = 8
    PARTIAL_FILE = 18
    READ_ERROR = 26
    OPERATION_TIMEDOUT = 28
    SSL_CONNECT_ERROR = 35
    BAD_FUNCTION_ARGUMENT = 43
    INTERFACE_FAILED = 45  # the local port is in use
    GOT_NOTHING = 52
    SEND_ERROR = 55
    RECV_ERROR = 56
    PEER_FAILED_VERIFICATION = 60
    FILESIZE_EXCEEDED = 63  # the server answered; the rest of the body was not read
    SSL_CACERT_BADFILE = 77
    SSL_INVALIDCERTSTATUS = 91
    SSL_CLIENTCERT = 98
