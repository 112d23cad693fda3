"""TLS servers on loopback that a client must refuse or that refuse it, and the failure that curl reports of each.

As a program, it records the reports of a curl: `python -m unit.sources.curl.tls_servers CURL... > VERSION.json`.
"""

import json
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

from datapath_probe.sources.client_report import ClientFailure
from datapath_probe.sources.curl.request import CurlRequest, Tls, argv
from unit.sources.curl.curl_runs import free_port
from unit.sources.curl.pki import Certificate, Pki

EXPIRES = "20990101"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DEFAULT = Tls()
Behavior = Callable[[socket.socket], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A request to a server that behaves so, and what curl reports. `ended`: what it may report instead, if it does not
    say why a handshake failed (before 7.75).
    """

    behavior: Behavior
    failure: ClientFailure | None
    tls: Tls = DEFAULT
    protocol: str = "https"
    ended: ClientFailure | None = None


def cases(pki: Pki) -> Mapping[str, Case]:
    """Every case by name."""
    ca, other = pki.authority("ca"), pki.authority("other")
    good = pki.signed("good", ca, "20200101", EXPIRES)
    expired = pki.signed("expired", ca, "20200101", "20210101")
    future = pki.signed("future", ca, "20980101", EXPIRES)
    trusting = Tls(trusted=ca.pem)
    handshake, wants = ClientFailure.HANDSHAKE_FAILED, ClientFailure.CLIENT_CERTIFICATE_REQUIRED
    cut = ClientFailure.CUT_SHORT
    return {
        "good": Case(tls_server(good), None, trusting),
        "several CAs": Case(tls_server(good), None, Tls(trusted=other.pem + ca.pem)),
        "another name": Case(tls_server(good), None, replace(trusting, server_name="named.test")),
        "not verified": Case(tls_server(expired), None, Tls(verify=False)),
        "unknown CA": Case(tls_server(good), ClientFailure.UNKNOWN_CA, Tls(trusted=other.pem)),
        "self-signed": Case(tls_server(other), ClientFailure.UNKNOWN_CA, trusting),
        "wrong name": Case(
            tls_server(good),
            ClientFailure.CERTIFICATE_NAME_MISMATCH,
            replace(trusting, server_name="wrong.test"),
        ),
        "expired": Case(tls_server(expired), ClientFailure.CERTIFICATE_EXPIRED, trusting),
        "not yet valid": Case(tls_server(future), ClientFailure.CERTIFICATE_NOT_YET_VALID, trusting),
        "client certificate, TLS 1.3": Case(tls_server(good, wants=ca), wants, trusting, ended=cut),
        "old TLS": Case(tls_server(good, most=ssl.TLSVersion.TLSv1), handshake, trusting),
        "no TLS": Case(_plain, handshake, trusting),
        "reset": Case(_reset, cut, trusting, ended=handshake),
        "closed": Case(_closed, cut, trusting, ended=handshake),
        "unreadable CAs": Case(
            tls_server(good), ClientFailure.TRUST_STORE_UNREADABLE, Tls(trusted="nothing")
        ),
        "TCP": Case(_silent, None, DEFAULT, "tcp"),
        "TCP, and TLS": Case(tls_server(good), None, DEFAULT, "tcp"),
    }


def tls_server(
    own: Certificate, wants: Certificate | None = None, most: ssl.TLSVersion | None = None
) -> Behavior:
    """Respond to a request over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    if wants:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(wants.certificate)
    if most:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):  # it is deprecated, and that is the case to test
            context.minimum_version = context.maximum_version = most

    def serve(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection.dup(), server_side=True) as secure:
                if secure.recv(65536):
                    secure.sendall(_OK)
        except ssl.SSLError:
            while connection.recv(65536):  # or a RST would overtake the alert
                pass

    return serve


def _plain(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(_OK)


def _closed(connection: socket.socket) -> None:
    connection.recv(65536)


def _reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _silent(connection: socket.socket) -> None:
    """Whatever arrives is an error."""
    if data := connection.recv(65536):
        raise AssertionError(data)


@contextmanager
def serving(behavior: Behavior) -> Iterator[tuple[int, list[Exception]]]:
    """The port of a server that treats each connection so, and what went wrong there."""
    listener, errors = socket.create_server(("127.0.0.1", 0)), list[Exception]()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    behavior(connection)
                except Exception as error:
                    errors.append(error)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], errors
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def request_of(case: Case, port: int) -> CurlRequest:
    return CurlRequest(
        protocol=case.protocol,
        host="127.0.0.1",
        port=port,
        method="GET",
        path="/",
        headers=(),
        body=b"",
        timeout_s=5,
        local_port=free_port(),
        keep_body=False,
        tls=case.tls,
    )


def _record(program: list[str]) -> dict[str, dict[str, object]]:
    recorded: dict[str, dict[str, object]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for name, case in cases(Pki.create(Path(folder))).items():
            with serving(case.behavior) as (port, _):
                words, stdin = argv(request_of(case, port))
                done = subprocess.run((*program, *words[1:]), input=stdin, capture_output=True, check=False)
            recorded[name] = {"exitCode": done.returncode, "stderr": done.stderr.decode()}
    return recorded


if __name__ == "__main__":
    json.dump(_record(sys.argv[1:]), sys.stdout, indent=1)
