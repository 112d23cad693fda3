"""What keeps packets inside a pod although its pair of interfaces is whole: its own routes, rules and addresses.

Asked only after a request has failed, of the pod's kernel: "how would you send this?". Called by the checks of the
interfaces. Source: Linux 6.x `net/ipv4/route.c`, which refuses a source address that the namespace does not have.
"""

from ..api.reasons import Reason
from ..cilium import links
from ..cilium.agent_endpoint import AgentEndpoint
from ..evidence.reading import Absent, Unavailable
from ..plan.plan import PodFacts
from .case import Case
from .findings import Rung
from .judge import Contradiction
from .losses import Suspect, unheard


def astray_inside(
    case: Case, pod: PodFacts, agent: AgentEndpoint, namespace: str, predicts: frozenset[Rung]
) -> Suspect:
    """A pod that does not send its packets of this connection through its interface, or not from its own address."""
    target = _peer(case, pod)
    if case.outcome.met is not False or target is None or target in pod.pod.ips:
        return None
    asks = pod is case.source
    question = links.pod_route_to(pod.node.name, namespace, target, None if asks else pod.pod.ip)
    route = case.lens.read(question, links.parse_route)
    if isinstance(route, Unavailable):
        return unheard(route)
    name = f"{pod.pod.namespace}/{pod.pod.name}"
    if isinstance(route, Absent):
        message = (
            f"pod {name} can't send to {target} from {pod.pod.ip}: its kernel has no way, or no such address"
        )
        return Contradiction(Reason.NO_ROUTE, message, predicts, (question,))
    if route.device != agent.container_interface_name:
        message = f"pod {name} sends to {target} through {route.device}, not {agent.container_interface_name}"
        return Contradiction(Reason.NO_ROUTE, message, predicts, (question,))
    if asks and route.source and route.source not in pod.pod.ips:
        message = f"pod {name} speaks to {target} from {route.source}, which is not its address {pod.pod.ip}"
        return Contradiction(Reason.INTERFACE_MISMATCH, message, predicts, (question,))
    return None


def _peer(case: Case, pod: PodFacts) -> str | None:
    """Whom the pod sends to: the source a Service's address, where that is translated outside the pod."""
    if pod is not case.source:
        return case.source.pod.ip
    if case.translates and case.plan.frontend:
        return case.plan.frontend.ip
    return case.backend.ip if case.backend else None
