"""Whether Cilium serves the frontend of a Service on a node, according to labels, annotations and settings.

In: a Service and the inventory. Out: a sentence, or "". Called by `destination`.
Source: Cilium 1.18 `pkg/k8s/utils` (`GetServiceAndEndpointListOptionsModifier`), `pkg/loadbalancer/reflectors`
(`isHeadless`, `CheckServiceNodeExposure`, `NewSvcExposureType`), `pkg/annotation`.
"""

from .label_selector import matches
from .objects import Inventory, Service

PROXY_NAME = "service.kubernetes.io/service-proxy-name"
HEADLESS = "service.kubernetes.io/headless"
TYPE, NODE, NODE_SELECTOR = (
    "service.cilium.io/type",
    "service.cilium.io/node",
    "service.cilium.io/node-selector",
)
_PROXY_NAME_SETTING = "k8s-service-proxy-name"
_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


def why_not_served(service: Service, kind: str, node: str, inventory: Inventory) -> str:
    """Why Cilium on this node does not serve the Service. `kind`: of the frontend, ClusterIP or NodePort."""
    why = _by_labels(service, inventory) or _by_type(service, kind) or _by_node(service, node, inventory)
    return f"Cilium on {node} does not serve Service {service.namespace}/{service.name}: {why}" if why else ""


def _by_labels(service: Service, inventory: Inventory) -> str:
    own = inventory.cilium_config().get(_PROXY_NAME_SETTING) or None
    if service.proxy_name != own:
        if service.proxy_name is None:
            return f"it lacks the label {PROXY_NAME}: {own}, which Cilium's {_PROXY_NAME_SETTING} requires"
        return f"its label {PROXY_NAME} assigns it to the proxy {service.proxy_name!r}"
    return f"its label {HEADLESS} makes it headless" if service.marked_headless else ""


def _by_type(service: Service, kind: str) -> str:
    only = service.exposure.get(TYPE)
    if only not in _TYPES or only == kind:  # Cilium ignores other values
        return ""
    return f"its annotation {TYPE}: {only} excludes its {kind}"


def _by_node(service: Service, node: str, inventory: Inventory) -> str:
    """The selector takes precedence."""
    selector, value = service.exposure.get(NODE_SELECTOR), service.exposure.get(NODE)
    if selector is None and value is None:
        return ""
    labels = inventory.node_labels(node)
    if selector is not None:
        excluded = matches(selector, labels) is False
        return f"its annotation {NODE_SELECTOR}: {selector} does not select the node" if excluded else ""
    if labels.get(NODE) == value:
        return ""
    return f"its annotation {NODE}: {value} requires this label on the node"
