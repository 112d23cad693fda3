"""The interface to run probes, for `control` and `cli`."""

from typing import Protocol

from ..api.probe import Probe
from ..collect.fair_slots import Slot
from .run_result import RunResult


class Runner(Protocol):
    """Implemented by `ProbeRunner`; tests fake it."""

    async def run(
        self, probe: Probe, capture: bool = False, fresh: bool = False, slot: Slot | None = None
    ) -> RunResult:
        """Run a probe once. `capture`: also capture its packets. `fresh`: use no evidence of earlier runs. `slot`: held
        until the first wait. Ends by itself; raises only CancelledError.
        """
        ...

    def forget_probe(self, uid: str) -> None:
        """Forget a deleted probe."""
        ...
