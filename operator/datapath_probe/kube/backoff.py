"""How long to wait before the API server is asked again."""

from ..backoff import Backoff

FIRST_S, LONGEST_S, JITTER = 0.25, 4.0, 0.5


def api_server_backoff() -> Backoff:
    """For one request or watch that goes on until the API server answers."""
    return Backoff(FIRST_S, LONGEST_S, jitter=JITTER)
