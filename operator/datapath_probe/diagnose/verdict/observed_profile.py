"""A run's context and findings → the path profile that this run observed, or None. Called by `engine`."""

from collections.abc import Iterator, Sequence

from ...api.reasons import Reason
from ...api.status.path_profile import BACKENDS_LIMIT
from ...api.vocabulary import HopName, HopVerdict, LoadBalancing, Witness
from ...evidence.reading import Unavailable
from ...sources.agent.agent_config import AgentConfig
from ..context import CheckContext
from ..finding.finding import Finding
from ..finding.path_profile import ObservedAttachment, ObservedPathProfile

_ATTACHMENT_HOPS = (HopName.REPLY_PROGRAM, HopName.SOURCE_PROGRAM)


def observed_profile(context: CheckContext, findings: Sequence[Finding]) -> ObservedPathProfile | None:
    """The profile according to the agents, which differs from the ConfigMap until they restart. None while agents
    differ, as during a rollout, or their configuration is not known.
    """
    config = _agents_config(context)
    if config is None or any(finding.reason is Reason.IN_TRANSITION for finding in findings):
        return None
    plan = context.plan
    backends = {
        backend.pod_facts.pod.name if backend.pod_facts else str(backend.ip): backend.place.name
        if backend.place
        else ""
        for backend in plan.backends
    }
    kept = sorted(backends)[:BACKENDS_LIMIT]
    balancing = LoadBalancing.NONE
    if plan.frontend:
        balancing = LoadBalancing.SOCKET if config.socket_lb else LoadBalancing.PER_PACKET
    return ObservedPathProfile(
        destination=plan.destination,
        routing=config.tunnel_protocol if config.routing_mode == "tunnel" else config.routing_mode,
        load_balancing=balancing,
        endpoint_routes=config.endpoint_routes,
        sources={context.source.pod.name: context.source.node.name},
        backends={name: backends[name] for name in kept},
        backend_count=len(backends),
        node_attachments=dict(_attachments(findings)),
    )


def _agents_config(context: CheckContext) -> AgentConfig | None:
    """The configuration that the agents on the nodes of this path agree on."""
    pods = [context.source, *([context.destination] if context.destination else [])]
    nodes = {pod.node.name for pod in pods}
    configs = [context.agent_config(node) for node in sorted(nodes)]
    known = [config for config in configs if not isinstance(config, Unavailable)]
    agree = len(known) == len(configs) and len({_profile_key(config) for config in known}) == 1
    return known[0] if agree else None


def _profile_key(config: AgentConfig) -> tuple[object, ...]:
    return config.routing_mode, config.tunnel_protocol, config.socket_lb, config.endpoint_routes


def _attachments(findings: Sequence[Finding]) -> Iterator[tuple[str, ObservedAttachment]]:
    """The attachments at the interfaces of pods. A hop that is not Ok shows a fault, not a path change."""
    for hop in _ATTACHMENT_HOPS:
        for finding in findings:
            if finding.hop is hop and finding.verdict is HopVerdict.OK:
                facts = finding.evidence[Witness.PROGRAMMED].facts
                yield finding.node, ObservedAttachment(facts["attach"], tuple(facts["programs"].split(", ")))
