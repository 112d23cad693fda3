"""How long to wait before the next attempt. Called by everything that tries until it succeeds."""

import random


class Backoff:
    """Pauses of one series of attempts: each twice as long as the one before, up to a limit.

    `jitter`: the share by which a pause is shortened at most, at random, so that many clients do not return at once.
    """

    __slots__ = ("_first_s", "_jitter", "_longest_s", "_next_s")

    def __init__(self, first_s: float, longest_s: float, *, jitter: float = 0.0) -> None:
        self._first_s = self._next_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter

    def failed(self, longest_s: float | None = None) -> float:
        """The pause in seconds after one more failure in a row; `longest_s`: the limit after a failure of this kind."""
        pause_s = min(self._next_s, self._longest_s if longest_s is None else longest_s)
        self._next_s = 2 * pause_s
        return pause_s * random.uniform(1 - self._jitter, 1)  # noqa: S311 (no secret depends on it)

    def succeeded(self) -> None:
        """The next failure is the first of a new series."""
        self._next_s = self._first_s
