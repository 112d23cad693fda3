"""The interface to run probes, for `control` and `cli`."""

from typing import Protocol

from ..api.probe import Probe
from .run_result import RunResult


class Runner(Protocol):
    """Implemented by `ProbeRunner`; tests fake it."""

    async def run(self, probe: Probe, capture: bool = False, fresh: bool = False) -> RunResult:
        """Run a probe once. `capture`: also capture its packets. `fresh`: use no evidence of earlier runs. Ends by
        itself; raises only CancelledError.
        """
        ...
