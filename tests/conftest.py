"""Fixtures of all tests."""

import asyncio


def pytest_configure() -> None:
    """Before a test that is not async, looptime asks for the event loop: there must be none rather than a new
    one that nobody closes.
    """
    asyncio.set_event_loop(None)
