"""A server on loopback that records requests byte for byte and responds with given bytes."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n")


@dataclass(frozen=True, slots=True)
class Received:
    """One request: its first line, its header lines and its body, raw."""

    line: bytes
    headers: tuple[bytes, ...]
    body: bytes
    peer_port: int


@dataclass(slots=True)
class Server:
    """Responds to the request of each connection with `response`; None: never."""

    listener: socket.socket
    response: bytes | None = OK
    received: list[Received] = field(default_factory=list)

    @property
    def host(self) -> str:
        host: str = self.listener.getsockname()[0]
        return host

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def take(self) -> list[Received]:
        """The requests since the last call."""
        received, self.received = self.received, []
        return received

    def serve(self) -> None:
        """Serve until the listener is shut down. Connections without a response stay open that long."""
        with ExitStack() as open_connections:
            while True:
                try:
                    connection, peer = self.listener.accept()
                except OSError:
                    return
                open_connections.enter_context(connection)
                connection.settimeout(10)
                if request := _read(connection, peer[1]):
                    self.received.append(request)
                if self.response is not None:
                    with suppress(ConnectionError):  # the client may have read enough
                        connection.sendall(self.response)
                    connection.close()


@contextmanager
def serving(family: socket.AddressFamily = socket.AF_INET) -> Iterator[Server]:
    """A server on a free loopback port."""
    listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
    server = Server(listener)
    thread = Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _read(connection: socket.socket, peer_port: int) -> Received | None:
    """A complete request; None if the peer closes the connection before."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    announced = _LENGTH.search(head + b"\r\n")
    while announced and len(body) < int(announced[1]):
        if not (more := connection.recv(65536)):
            return None
        body += more
    line, *headers = head.split(b"\r\n")
    return Received(line, tuple(headers), body, peer_port)
