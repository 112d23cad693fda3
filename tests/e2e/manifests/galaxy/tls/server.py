"""HTTPS at port 443, with the certificate that /tmp/certificate names: a file beside this one, or `none` for no TLS."""

import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE, CHOSEN = Path("/tls"), Path("/tmp/certificate")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = f"Ship landed, Host: {self.headers['Host']}\n".encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815


name = CHOSEN.read_text().strip() if CHOSEN.exists() else "good"
server = ThreadingHTTPServer(("", 443), Handler)
if name != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / f"{name}.crt", HERE / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
