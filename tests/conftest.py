"""Fixtures of all tests."""

import asyncio

from hypothesis import HealthCheck, settings

# A busy machine is no failure: examples are bounded in number, not in time.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


def pytest_configure() -> None:
    """Before a test that is not async, looptime asks for the event loop: there must be none rather than a new
    one that nobody closes.
    """
    asyncio.set_event_loop(None)
