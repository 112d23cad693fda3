"""A path that the request did not take, judged by the same checks as far as it is programmed: to a name server, or to
an endpoint that is not Ready.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...api.vocabulary import HopName, HopVerdict
from ...plan.path import expected_path
from ...plan.plan import Backend, Plan
from ..connection.connection import Connection
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.finding import Finding

WALKED = 4
"""No more destinations than these are walked to."""


def walk_to(
    context: CheckContext, plan: Plan, destination: Backend | None, hops: frozenset[HopName]
) -> Iterator[Finding]:
    """These hops of the plan's path to this destination; None: as far as it goes until one is chosen."""
    walked = replace(
        context,
        run=replace(context.run, plan=plan),
        path=expected_path(plan, destination),
        backend=destination,
        report=None,
        connection=Connection(destination),
    )
    for expected in walked.path.hops:
        if expected.name in hops:
            yield walked.check(expected)


def is_harmful(finding: Finding) -> bool:
    """Whether it keeps small packets from going on."""
    return finding.verdict is HopVerdict.STALE and any(
        defect is not Defect.DATA_LOST for defect in finding.defects
    )
