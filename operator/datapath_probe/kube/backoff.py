"""Delays between requests to an API server that fails. Called by the other modules of `kube`."""

from ..backoff import Backoff

FIRST_S, LONGEST_S, JITTER = 0.25, 4.0, 0.5


def api_server_backoff() -> Backoff:
    """The backoff of one request or watch that is retried until the API server responds."""
    return Backoff(FIRST_S, LONGEST_S, jitter=JITTER)
