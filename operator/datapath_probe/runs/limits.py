"""What all runs share: slots to work, requests in flight, round trips to nodes, and packet captures.

In: a plan, or the namespace of a probe. Out: contexts that wait until there is room. One for all runs, made by
`control.app` and `cli.capture`; used by `control.schedule.scheduler` and `probe_run`.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager

from ..collect.collector import ROUND_TRIPS_TO_A_NODE
from ..collect.fair_slots import FairSlots, FairSlotsByKey
from ..plan.plan import Plan
from .request_rate import RequestRate

MAX_CONCURRENT_RUNS = 16
MAX_REQUESTS_IN_FLIGHT = 500
MAX_PAIRS = 64
# Each request is a process in the source pod, and counts towards its memory limit.
REQUESTS_OF_A_POD = 100
# Each is an exec that the node's kubelet and container runtime serve.
REQUESTS_OF_A_NODE = 250
# How long a run waits for the captures of other runs.
CAPTURE_TURN_S = 60.0


class Limits:
    """`work`: held by runs while they ask and diagnose. Waiting holds none. `rate`: of the requests of a namespace.
    `max_pairs`: of one run.
    """

    def __init__(
        self,
        max_concurrent_runs: int = MAX_CONCURRENT_RUNS,
        max_requests_in_flight: int = MAX_REQUESTS_IN_FLIGHT,
        max_pairs: int = MAX_PAIRS,
        max_requests_per_minute: int | None = None,
    ) -> None:
        self.max_pairs = max_pairs
        self.work = FairSlots(max_concurrent_runs)
        self.rate = RequestRate(max_requests_per_minute)
        self.round_trips = FairSlotsByKey(ROUND_TRIPS_TO_A_NODE)
        self._requests = FairSlots(max_requests_in_flight)
        self._requests_of_nodes = FairSlotsByKey(REQUESTS_OF_A_NODE)
        self._requests_of_pods = FairSlotsByKey(REQUESTS_OF_A_POD)
        self._captures = FairSlotsByKey(1)

    @asynccontextmanager
    async def request(self, plan: Plan) -> AsyncIterator[None]:
        """A path with its request, until it is judged. The probes of one source pod share what the pod may have."""
        pod = plan.source.pod
        async with (
            self._requests_of_pods.slot(pod.uid, plan.probe),
            self._requests_of_nodes.slot(pod.node, pod.namespace),
            self._requests.slot(pod.namespace),
        ):
            yield

    @asynccontextmanager
    async def capture(self, nodes: Collection[str], namespace: str) -> AsyncIterator[frozenset[str]]:
        """The only capture on these nodes. Yields those that became free within `CAPTURE_TURN_S`."""
        free = set()
        async with AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(CAPTURE_TURN_S):
                    for node in sorted(nodes):  # in one order, so that no two runs wait for each other
                        await turns.enter_async_context(self._captures.slot(node, namespace))
                        free.add(node)
            except TimeoutError:
                pass
            yield frozenset(free)
