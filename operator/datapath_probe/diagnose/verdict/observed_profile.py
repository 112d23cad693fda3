"""A case and its findings → the `Way` that this run saw, or None where that can't be said. Called by `diagnose`."""

from collections.abc import Iterator, Sequence

from ...api.path_profile import BACKENDS_LIMIT
from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict, Witness
from ...evidence.reading import Unavailable
from ...sources.agent.agent_config import AgentConfig
from ..context import CheckContext
from ..finding.finding import Finding
from ..finding.path_profile import NO_LOAD_BALANCING, Entry, Way

_ENTRY_HOPS = (HopName.REPLY_PROGRAM, HopName.SOURCE_PROGRAM)


def seen_way(context: CheckContext, findings: Sequence[Finding]) -> Way | None:
    """The way as agents run it, which may be another than the ConfigMap will make it when they restart. None while
    agents differ, as in a roll-out, or can't be asked.
    """
    config = _agents_config(context)
    if config is None or any(finding.reason is Reason.IN_TRANSITION for finding in findings):
        return None
    plan = context.plan
    backends = {
        backend.pod_facts.pod.name if backend.pod_facts else backend.ip: backend.place.name
        if backend.place
        else ""
        for backend in plan.backends
    }
    kept = sorted(backends)[:BACKENDS_LIMIT]
    balancing = NO_LOAD_BALANCING
    if plan.frontend:
        balancing = "socket" if config.socket_lb else "per packet"
    return Way(
        destination=plan.destination,
        routing=config.tunnel_protocol if config.routing_mode == "tunnel" else config.routing_mode,
        load_balancing=balancing,
        endpoint_routes=config.endpoint_routes,
        sources={context.source.pod.name: context.source.node.name},
        backends={name: backends[name] for name in kept},
        backend_count=len(backends),
        entries=dict(_entries(findings)),
    )


def _agents_config(context: CheckContext) -> AgentConfig | None:
    """What the agents on the nodes of this path agree on."""
    pods = [context.source, *([context.destination] if context.destination else [])]
    nodes = {pod.node.name for pod in pods}
    configs = [context.agent_config(node) for node in sorted(nodes)]
    known = [config for config in configs if not isinstance(config, Unavailable)]
    agree = len(known) == len(configs) and len({_of_the_way(config) for config in known}) == 1
    return known[0] if agree else None


def _of_the_way(config: AgentConfig) -> tuple[object, ...]:
    return config.routing_mode, config.tunnel_protocol, config.socket_lb, config.endpoint_routes


def _entries(findings: Sequence[Finding]) -> Iterator[tuple[str, Entry]]:
    """What is attached where packets enter; a hop that is not Ok tells of a fault, not of a new way."""
    for hop in _ENTRY_HOPS:
        for finding in findings:
            if finding.hop is hop and finding.verdict is HopVerdict.OK:
                facts = finding.evidence[Witness.PROGRAMMED].facts
                yield finding.node, Entry(facts["attach"], facts["programs"])
