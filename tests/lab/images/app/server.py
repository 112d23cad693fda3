"""The deathstar, and a server that misbehaves on request.

POST /v1/request-landing   200 "Ship landed"
GET  /v1/                  200 the API, as JSON
ANY  /echo...              200 the request as JSON: method, target, headers (pairs, in order), body (base64)
ANY  /slow?ms=N            200 after N milliseconds
ANY  /status/NNN           that status
ANY  /reset                the connection is reset
"""

import base64
import json
import socket
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

API = {
    "name": "Death Star",
    "hostname": socket.gethostname(),
    "endpoints": ["POST /v1/request-landing", "GET /v1/"],
}


class Server(ThreadingHTTPServer):
    """Serves both versions of IP, if the pod has them."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    request_queue_size = 128

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "deathstar"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        head, _, rest = url.path.lstrip("/").partition("/")
        if head == "v1" and rest == "request-landing" and self.command == "POST":
            self.answer(200, b"Ship landed\n")
        elif head == "v1" and not rest and self.command == "GET":
            self.answer(200, json.dumps(API).encode() + b"\n", "application/json")
        elif head == "echo":
            self.answer(200, self.received_request(body), "application/json")
        elif head == "slow":
            time.sleep(int(parse_qs(url.query).get("ms", ["0"])[0]) / 1000)
            self.answer(200, b"slow\n")
        elif head == "status" and rest.isdigit() and 200 <= int(rest) <= 599:
            self.answer(int(rest), f"{rest}\n".encode())
        elif head == "reset":
            self.reset()
        else:
            self.answer(404, b"not found\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815

    def received_request(self, body: bytes) -> bytes:
        echoed = {
            "method": self.command,
            "target": self.requestline.split(" ")[1],  # self.path has leading slashes collapsed
            "headers": [[name, value] for name, value in self.headers.items()],
            "body": base64.b64encode(body).decode(),
        }
        return json.dumps(echoed).encode() + b"\n"

    def answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        bodiless = status in (204, 304)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if not bodiless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and not bodiless:
            self.wfile.write(body)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        print(self.address_string(), format % args, flush=True)


if __name__ == "__main__":
    Server(("", int(sys.argv[1]) if len(sys.argv) > 1 else 80), Handler).serve_forever()
