"""Fixtures of all tests."""

import asyncio

from hypothesis import HealthCheck, settings

# Examples are limited in number, not in time: a busy machine must not fail tests.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For `make mutated`, with `--hypothesis-profile`.
settings.register_profile("nightly", settings.get_profile("project"), max_examples=2000)
settings.load_profile("project")


def pytest_configure() -> None:
    """looptime asks for the event loop also before tests that are not async: there must be none, because no test would
    close a new one.
    """
    asyncio.set_event_loop(None)
