"""Whether a fault is still there. The agent writes some of what is broken again when it likes."""

from collections.abc import Callable
from contextlib import AbstractContextManager

InPlace = Callable[[], bool]
"""Asked at the end of a run: False if somebody has undone the fault meanwhile."""

Injected = AbstractContextManager[InPlace | None]
"""A fault while it lasts; None where nobody else undoes it."""
