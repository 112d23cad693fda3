"""The plan of one run: who asks whom for what, and what Kubernetes says about both.

A `Plan` is complete: diagnosis needs nothing else of the cluster's objects, so a saved plan can be replayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..api.reasons import Reason
from ..api.vocabulary import Encapsulation, Locality
from .objects import Agent, CiliumEndpoint, CiliumNode, Node, Pod, Service, ServicePort


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node as Kubernetes and Cilium describe it; None where an object does not exist."""

    name: str
    node: Node | None
    cilium: CiliumNode | None
    agent: Agent | None


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod with its CiliumEndpoint and its node."""

    pod: Pod
    endpoint: CiliumEndpoint | None
    node: NodeFacts


@dataclass(frozen=True, slots=True)
class Backend:
    """One address that may answer: a pod's, or one that only an EndpointSlice knows (`target` is None)."""

    ip: str
    port: int
    target: PodFacts | None


@dataclass(frozen=True, slots=True)
class Frontend:
    """The Service in front. `ip` is the ClusterIP; backends are those eligible as seen from the source's node."""

    service: Service
    port: ServicePort
    ip: str


@dataclass(frozen=True, slots=True)
class Request:
    """What curl will send. `host` is what is put into the URL: an address or `<name>.<namespace>.svc`."""

    protocol: str
    method: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """What makes a run good. `statuses` empty: any 2xx."""

    statuses: tuple[int, ...]
    body_contains: str | None
    max_latency_s: float | None
    locality: Locality | None
    encapsulation: Encapsulation | None


@dataclass(frozen=True, slots=True)
class Plan:
    """One (source, destination) pair, ready to run. `config` is the ConfigMap `cilium-config`."""

    probe: str  # namespace/name
    source: PodFacts
    container: str
    destination: str  # display: namespace/name:port
    frontend: Frontend | None
    backends: tuple[Backend, ...]
    request: Request
    expect: Expectation
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CannotRun:
    """No run is possible now. Not a failure of the path: the verdict is Unknown with this reason."""

    reason: Reason
    message: str
    source: str = ""
    destination: str = ""
