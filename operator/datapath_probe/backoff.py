"""Exponential backoff.

In: failures and successes. Out: delays in seconds. Called by everything that retries until it succeeds.
"""

import random


class Backoff:
    """Delays of one series of attempts: each twice as long as the last, up to a limit.

    `jitter`: the maximum fraction by which a delay is shortened at random, so that clients do not retry simultaneously.
    """

    __slots__ = ("_first_s", "_jitter", "_longest_s", "_next_s")

    def __init__(self, first_s: float, longest_s: float, *, jitter: float = 0.0) -> None:
        self._first_s = self._next_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter

    def failed(self, longest_s: float | None = None) -> float:
        """The delay in seconds after another failure; `longest_s`: the limit for this kind of failure."""
        pause_s = min(self._next_s, self._longest_s if longest_s is None else longest_s)
        self._next_s = 2 * pause_s
        return pause_s * random.uniform(1 - self._jitter, 1)  # noqa: S311 (no secret depends on it)

    def succeeded(self) -> None:
        """Reset: the next failure starts a new series."""
        self._next_s = self._first_s
