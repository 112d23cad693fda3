"""Polls a condition until it holds. In: a condition and a timeout. Used by the tests on a lab."""

import time
from collections.abc import Callable
from typing import TypeVar

from urllib3.exceptions import HTTPError

Found = TypeVar("Found")

POLL_S = 0.1


def until(
    what: str,
    check: Callable[[], Found | None],
    timeout_s: float,
    *,
    otherwise: Callable[[], object] = lambda: "",
) -> Found:
    """Return the first true result of `check`. Fails the test after `timeout_s`, with the result of `otherwise` in the
    message. An API server that does not respond is retried: the machine may be busy.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := _result(check)):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}. Instead: {otherwise()}")
        time.sleep(POLL_S)
    return found


def _result(check: Callable[[], Found | None]) -> Found | None:
    try:
        return check()
    except HTTPError:
        return None
