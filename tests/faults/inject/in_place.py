"""Whether a fault is still in place: the agent may repair some faults at any time. Used by injectors and bench."""

from collections.abc import Callable
from contextlib import AbstractContextManager

InPlace = Callable[[], bool]
"""Called at the end of a run: False if the fault was repaired meanwhile."""

Injected = AbstractContextManager[InPlace | None]
"""A fault as a context; it yields None if nothing else can repair the fault."""
