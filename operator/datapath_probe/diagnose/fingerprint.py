"""A path's fingerprint: changes when the way to a backend changes, not with the load balancer's choice."""

import hashlib
import json
from collections.abc import Sequence

from ..api.vocabulary import HopName, Witness
from .case import Case
from .findings import Finding


def fingerprint(case: Case, findings: Sequence[Finding]) -> str:
    """`sha256:…` over both pods, their nodes, the way between them and how programs are attached."""
    destination = case.destination
    attach = next(
        (
            f.evidence[Witness.PROGRAMMED].facts.get("attach", "")
            for f in findings
            if f.hop is HopName.SOURCE_PROGRAM and Witness.PROGRAMMED in f.evidence
        ),
        "",
    )
    way = {
        "source": [case.source.pod.uid, case.source.pod.node],
        "destination": [destination.pod.uid, destination.pod.node] if destination else None,
        "service": case.plan.frontend.service.uid if case.plan.frontend else None,
        "routing": case.config.routing_mode,
        "encapsulation": case.path.encapsulation,
        "attach": attach,
    }
    digest = hashlib.sha256(json.dumps(way, sort_keys=True).encode()).hexdigest()
    return f"sha256:{digest[:32]}"
