"""The application in its pod: stopped, or replaced by a faulty one. The pod itself is not changed.

The server runs in a loop that checks these files first (tests/e2e/manifests/galaxy/deathstar.yaml).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from e2e.galaxy import Galaxy, Pod

_ALIVE = "until curl --silent --fail --output /dev/null localhost:{port}/v1/; do sleep 0.1; done"
_RESTART = "kill $(cat /tmp/server.pid)"


@contextmanager
def stopped(galaxy: Galaxy, pod: Pod) -> Iterator[None]:
    """A running pod without its server."""
    galaxy.sh(pod.name, f"touch /tmp/stopped; {_RESTART}")
    try:
        yield
    finally:
        galaxy.sh(pod.name, f"rm /tmp/stopped; {_ALIVE.format(port=80)}")


@contextmanager
def replaced(galaxy: Galaxy, pod: Pod, source: str, port: int = 80) -> Iterator[None]:
    """A pod with another server: a Python program that listens on this port and responds to GET /v1/."""
    alive = _ALIVE.format(port=port)
    galaxy.sh(pod.name, f"cat > /tmp/server.py <<'END'\n{source}\nEND\n{_RESTART}; sleep 0.2; {alive}")
    try:
        yield
    finally:
        galaxy.sh(pod.name, f"rm /tmp/server.py; {_RESTART}; sleep 0.2; {_ALIVE.format(port=80)}")
