"""Faults of the application: the path works, the response does not."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Expected, Fault, broken
from faults.inject import application
from faults.scene import Target

RESPONSE = HopName.DESTINATION_RESPONSE

_SERVER = """
import http.server, socket, struct, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(200, b"fine")
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        {behavior}
    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""


def _with(behavior: str) -> str:
    return _SERVER.replace("{behavior}", behavior)


def _misbehaving(name: str, behavior: str, reason: str) -> Fault:
    """A server that passes its readiness probe and fails the request."""
    return Fault(
        name,
        lambda s: application.replaced(s.galaxy, s.far, _with(behavior)),
        broken(RESPONSE, reason, At.DESTINATION),
    )


FAULTS = (
    Fault(
        "not-listening",
        lambda s: application.stopped(s.galaxy, s.far),
        broken(RESPONSE, "ConnectionRefused", At.DESTINATION),
    ),
    Fault(
        "not-listening-same-node",
        lambda s: application.stopped(s.galaxy, s.near),
        broken(RESPONSE, "ConnectionRefused"),
        Target.NEAR,
    ),
    Fault(
        "listening-on-another-port",
        lambda s: application.replaced(
            s.galaxy, s.far, _with("pass").replace('("", 80)', '("", 8080)'), port=8080
        ),
        broken(RESPONSE, "ConnectionRefused", At.DESTINATION),
    ),
    Fault(
        "listening-on-loopback-alone",
        lambda s: application.replaced(
            s.galaxy, s.far, _with("pass").replace('("", 80)', '("127.0.0.1", 80)')
        ),
        broken(RESPONSE, "ConnectionRefused", At.DESTINATION),
    ),
    Fault(
        "slow",
        lambda s: application.replaced(
            s.galaxy, s.far, _with('time.sleep(2); self.answer(200, b"Ship landed")')
        ),
        (Expected("Degraded", "TooSlow"),),
        Target.QUICK,
    ),
    _misbehaving("never-answers", "time.sleep(60)", "NoResponse"),
    _misbehaving("resets", "self.reset()", "ConnectionReset"),
    _misbehaving("closes-without-an-answer", "self.close_connection = True", "ConnectionReset"),
    _misbehaving("wrong-status", 'self.answer(503, b"Ship landed")', "UnexpectedStatus"),
    _misbehaving("wrong-body", 'self.answer(200, b"Go away")', "UnexpectedBody"),
)
