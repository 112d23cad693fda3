"""The source and the destination of a probe, in words. Called by `pairs` and `publish`."""

from collections.abc import Iterator

from ...addresses import with_port
from ...api.spec.destination import AddressDestination, Destination, WorkloadDestination
from ...api.spec.label_selector import LabelSelector, SelectorOperator
from ...api.spec.source import Source, SourceWorkload
from ...api.vocabulary import FrontendType, WorkloadKind

# As in kubectl's output.
_SHORT_KINDS = {
    WorkloadKind.DEPLOYMENT: "deploy",
    WorkloadKind.STATEFUL_SET: "sts",
    WorkloadKind.DAEMON_SET: "ds",
    WorkloadKind.REPLICA_SET: "rs",
    WorkloadKind.JOB: "job",
}


def source_name(source: Source, namespace: str) -> str:
    """ "default/xwing", "default/deploy/frontend" or "default/app=frontend". `namespace`: that of the probe."""
    if source.workload:
        return f"{namespace}/{_short(source.workload)}"
    if source.selector:
        return f"{namespace}/{selector_text(source.selector)}"
    return f"{namespace}/{source.pod}"


def destination_name(destination: Destination, namespace: str) -> str:
    """ "default/deathstar-0:80", "default/deathstar:80 at its NodePort", "default/ds/agent:80" or
    "example.org:443"."""
    if workload := destination.workload:
        return f"{workload.namespace or namespace}/{_short(workload)}:{workload.port}"
    if service := destination.service:
        at = " at its NodePort" if service.frontend is FrontendType.NODE_PORT else ""
        return f"{service.namespace or namespace}/{service.name}:{service.port}{at}"
    if address := destination.address:
        return address_name(address)
    assert destination.pod  # the schema's "exactly one of"
    return f"{destination.pod.namespace or namespace}/{destination.pod.name}:{destination.pod.port}"


def address_name(address: AddressDestination) -> str:
    """ "example.org:443" or "[2001:db8::1]:443"."""
    return with_port(address.host, address.port)


def selector_text(selector: LabelSelector) -> str:
    """ "app=frontend,tier in (a,b)", as in kubectl's option -l; "every pod" if it has no requirement."""
    return ",".join(_requirements(selector)) or "every pod"


def _short(workload: SourceWorkload | WorkloadDestination) -> str:
    return f"{_SHORT_KINDS[workload.kind]}/{workload.name}"


def _requirements(selector: LabelSelector) -> Iterator[str]:
    for name, value in selector.match_labels.items():
        yield f"{name}={value}"
    for requirement in selector.match_expressions:
        values = ",".join(requirement.values)
        match requirement.operator:
            case SelectorOperator.IN:
                yield f"{requirement.key} in ({values})"
            case SelectorOperator.NOT_IN:
                yield f"{requirement.key} notin ({values})"
            case SelectorOperator.EXISTS:
                yield requirement.key
            case SelectorOperator.DOES_NOT_EXIST:
                yield f"!{requirement.key}"
