"""What runs probes, as those see it who start runs."""

from typing import Protocol

from ..api.probe import Probe
from .run_result import RunResult


class Runner(Protocol):
    """Implemented by `ProbeRunner`; tests fake it."""

    async def run(self, probe: Probe, capture: bool = False, fresh: bool = False) -> RunResult:
        """`capture`: also the packets; `fresh`: share no evidence from before. Ends by itself, and raises nothing but
        CancelledError.
        """
        ...
