"""A way that the request did not take, judged by the same checks as far as it is programmed: to a name server, or to
an endpoint that is not Ready.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...api.vocabulary import HopName, HopVerdict
from ...plan.path import expected_path
from ...plan.plan import Backend, Plan
from ..connection.connection import Connection
from ..context import Check, CheckContext
from ..finding.finding import Finding
from ..netstack.mtu import BY_SIZE
from .host import FROM_HOST, TO_HOST

WALKED = 4
"""No more destinations than these are walked to."""


def walk_to(
    context: CheckContext, plan: Plan, destination: Backend | None, checks: Mapping[HopName, Check]
) -> Iterator[Finding]:
    """The hops of these checks on the way of the plan to this destination; None: as far as it is chosen."""
    walked = CheckContext(
        run=replace(context.run, plan=plan),
        reader=context.reader,
        path=expected_path(plan, destination),
        backend=destination,
        report=None,
        outcome=context.outcome,
        connection=Connection(destination),
    )
    at_hosts = {
        **(FROM_HOST if plan.source.pod.host_network else {}),
        **(TO_HOST if destination and destination.host else {}),
    }
    for expected in walked.path.hops:
        if expected.name in checks:
            yield at_hosts.get(expected.name, checks[expected.name])(walked, expected)


def is_harmful(finding: Finding) -> bool:
    """Whether it keeps small packets from going on."""
    return finding.verdict is HopVerdict.STALE and bool(finding.predicts - BY_SIZE)
