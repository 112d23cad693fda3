"""Waiting: a condition is polled until it holds; nothing sleeps for a fixed time and hopes."""

import time
from collections.abc import Callable
from typing import TypeVar

from urllib3.exceptions import HTTPError

Found = TypeVar("Found")

POLL_S = 0.1


def until(
    what: str,
    look: Callable[[], Found | None],
    timeout_s: float,
    *,
    otherwise: Callable[[], object] = lambda: "",
) -> Found:
    """What `look` finds as soon as it finds something true. Fails the test after `timeout_s`; `otherwise` then
    tells what is seen instead. An API server that does not answer is asked again: it may be as busy as the machine.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := _answer(look)):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}. Instead: {otherwise()}")
        time.sleep(POLL_S)
    return found


def _answer(look: Callable[[], Found | None]) -> Found | None:
    try:
        return look()
    except HTTPError:
        return None
