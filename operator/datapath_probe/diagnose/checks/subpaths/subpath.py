"""A subpath, which the request itself does not take: to a name server, or to an endpoint that is not Ready. The same
checks judge it, as programmed.
"""

from collections.abc import Iterator
from dataclasses import replace

from ....api.vocabulary import HopName, HopVerdict
from ....plan.path import expected_path
from ....plan.plan import Backend, Plan
from ...connection.connection import Connection
from ...context import CheckContext
from ...failure_model.effect import Defect
from ...finding.finding import Finding

MAX_DESTINATIONS = 4
"""The number of destinations to judge."""


def judge_subpath(
    context: CheckContext, plan: Plan, destination: Backend | None, hops: frozenset[HopName]
) -> Iterator[Finding]:
    """The findings of these hops on the plan's path to this destination; None: up to the selection of a backend."""
    subcontext = replace(
        context,
        run=replace(context.run, plan=plan),
        path=expected_path(plan, destination),
        backend=destination,
        report=None,
        connection=Connection(destination),
    )
    for expected in subcontext.path.hops:
        if expected.name in hops:
            yield subcontext.check(expected)


def is_harmful(finding: Finding) -> bool:
    """Whether the fault also affects small packets."""
    return finding.verdict is HopVerdict.STALE and any(
        defect is not Defect.DATA_LOST for defect in finding.defects
    )
