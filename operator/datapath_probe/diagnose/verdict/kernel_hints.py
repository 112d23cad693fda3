"""Counters of the kernels of nodes and pods that tell why packets were lost: wrong checksums, IPsec, the reverse path
filter. They count all traffic, so they are hints for users and name no hop.

Those of nodes are compared with a first reading while the request hangs; those of a pod count since it was created.
Called by `event_evidence`. Source: Linux 6.x `net/ipv4/proc.c`, `net/xfrm/xfrm_proc.c`.
"""

from collections.abc import Iterable, Iterator

from ...evidence.reading import Unavailable
from ...plan.plan import PodFacts
from ...sources import kernel_counters
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.kernel_counters import Counters
from ..context import CheckContext
from ..netstack.netns import NetworkNamespace, namespace_of

_XFRM = "Xfrm"
_DAMAGED = ("Tcp.InCsumErrors", "Udp.InCsumErrors", "IpExt.InCsumErrors", "Ip.InHdrErrors", "Ip.ReasmFails")
_REFUSED = ("TcpExt.IPReversePathFilter", "TcpExt.ListenDrops")
_SHOWN = 6


def counted_by_kernels(context: CheckContext) -> Iterator[str]:
    """What the kernels on the path counted, as sentences."""
    found = [*_of_nodes(context), *_of_pods(context)]
    yield from found[:_SHOWN]


def _of_nodes(context: CheckContext) -> Iterator[str]:
    path = context.path
    for node in dict.fromkeys((path.source_node, path.destination_node or path.source_node)):
        series = context.reader.series(kernel_counters.fact(node), kernel_counters.parse)
        readings = [counters for counters in series if not isinstance(counters, Unavailable)]
        if len(readings) > 1:
            for name, count in _telling(kernel_counters.rise(readings[0], readings[-1])):
                yield f"the kernel of {node} counted {count} × {name} while the request hung"


def _of_pods(context: CheckContext) -> Iterator[str]:
    for pod in filter(None, (context.source, context.destination)):
        for name, count in _telling(_counters_of(context, pod)):
            yield f"the kernel of pod {pod.pod.namespace}/{pod.pod.name} has counted {count} × {name} so far"


def _counters_of(context: CheckContext, pod: PodFacts) -> Counters:
    agent = None if pod.pod.host_network else context.agent_endpoint(pod)
    inside = namespace_of(context, pod, agent) if isinstance(agent, AgentEndpoint) else None
    if not isinstance(inside, NetworkNamespace):
        return {}
    series = context.reader.series(kernel_counters.fact(pod.node.name, inside.name), kernel_counters.parse)
    return next((counters for counters in reversed(series) if not isinstance(counters, Unavailable)), {})


def _telling(counters: Counters) -> Iterable[tuple[str, int]]:
    """The counters that tell of a loss."""
    return [
        (name, count)
        for name, count in counters.items()
        if count and (name.startswith(_XFRM) or name in _DAMAGED or name in _REFUSED)
    ]
