"""How a node hands packets to its L7 or DNS proxy: a process that listens at the port of the redirect, and the rule and
the route by which the kernel delivers packets to it.

Packets that a policy redirects to the proxy get a mark. A rule has them looked up in a table of its own, where every
address is local. Without that, the stack forwards them past the proxy, or drops them. Called by the check of policies.
Source: Cilium 1.16–1.20 `pkg/proxy/routes.go` (`toProxyRule`), `pkg/datapath/linux/linux_defaults`,
`bpf/lib/common.h` (MARK_MAGIC_TO_PROXY), `pkg/fqdn/dnsproxy/proxy.go` (listens on UDP and TCP at one port).
"""

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...sources.iproute2 import links, ss
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault
from ..finding.hop_check import Contradiction

TO_PROXY, _MASK, _TABLE = 0x200, 0xF00, 2004


def proxy_fault(context: CheckContext, node: str, port: int) -> Fault:
    """Why packets do not get to the proxy at this port."""
    return _unreachable(context, node) or _silent(context, node, port)


def _unreachable(context: CheckContext, node: str) -> Fault:
    """A node whose kernel does not deliver such packets to a local process."""
    fact = links.marked_route_to(node, context.address, TO_PROXY)
    route = context.reader.read(fact, links.parse_route)
    if isinstance(route, Unavailable) or (isinstance(route, links.Route) and route.to_itself):
        return None  # what the proxy does is not followed in any case
    message = (
        f"{node} does not deliver packets to the L7 proxy: no rule for mark {TO_PROXY:#x}/{_MASK:#x} that looks up "
        f"table {_TABLE}, or no local route there"
    )
    return Contradiction(Reason.ROUTING_RULE_MISSING, message, (Defect.PROXIED,), (fact,))


def _silent(context: CheckContext, node: str, port: int) -> Fault:
    """The policy map redirects to a port where no process listens: the proxy ended, or listens elsewhere."""
    fact = ss.of_host(node, port)
    sockets = context.reader.read(fact, ss.parse)
    if isinstance(sockets, Unavailable) or any(socket.listens for socket in sockets):
        return None
    message = (
        f"the policy map redirects packets to a proxy at port {port} of {node}, where no process listens"
    )
    return Contradiction(Reason.PROXY_NOT_LISTENING, message, (Defect.PROXIED,), (fact,))
