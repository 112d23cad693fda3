"""The HTTPS server of a pod: with another certificate, without TLS, or stopped. The pod itself is not changed.

The server runs in a container of its own, which reads these files first (tests/e2e/manifests/galaxy/deathstar.yaml).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from e2e.galaxy import Galaxy, Pod

PORT = 443
_KILL = "kill $(cat /tmp/server.pid)"
_LISTENS = f"python3 -c 'import socket; socket.create_connection((\"localhost\", {PORT}))' 2>/dev/null"
_STARTED = f"until {_LISTENS}; do sleep 0.1; done"


@contextmanager
def certificate(galaxy: Galaxy, pod: Pod, name: str) -> Iterator[None]:
    """Another certificate: untrusted, misnamed or expired; none: the server does not speak TLS."""
    _sh(galaxy, pod, f"echo {name} > /tmp/certificate; {_KILL}; sleep 0.2; {_STARTED}")
    try:
        yield
    finally:
        _sh(galaxy, pod, f"rm /tmp/certificate; {_KILL}; sleep 0.2; {_STARTED}")


@contextmanager
def stopped(galaxy: Galaxy, pod: Pod) -> Iterator[None]:
    """Nothing listens at the port."""
    _sh(galaxy, pod, f"touch /tmp/stopped; {_KILL}")
    try:
        yield
    finally:
        _sh(galaxy, pod, f"rm /tmp/stopped; {_STARTED}")


def _sh(galaxy: Galaxy, pod: Pod, command: str) -> None:
    galaxy.lab.kubectl("exec", "-n", galaxy.namespace, pod.name, "-c", "tls", "--", "sh", "-c", command)
