"""Where requests of a probe go to. Part of the spec."""

from enum import StrEnum
from typing import ClassVar

from ..model import ApiModel, Rule
from ..vocabulary import FrontendType, WorkloadKind
from .scalars import HostName, Label, PodName, PortNumber, PortNumberOrName, WorkloadName


class RequestedBackends(StrEnum):
    """Which backends of a Service are requested."""

    ANY = "Any"
    EACH = "Each"


class PodDestination(ApiModel):
    """A pod, requested at its own IP address; a pod in the host network at the IP address of its node."""

    name: PodName
    """Name of the pod."""

    namespace: Label | None = None
    """Namespace of the pod. Default: the namespace of the probe."""

    port: PortNumber
    """Port number of the request: 1 to 65535."""


class ServiceDestination(ApiModel):
    """A Service of any type except ExternalName, requested as NAME.NAMESPACE.svc: at its ClusterIP, or if it is
    headless at the IP addresses of its pods. Or requested at its NodePort."""

    name: Label
    """Name of the Service."""

    namespace: Label | None = None
    """Namespace of the Service. Default: the namespace of the probe."""

    port: PortNumberOrName
    """Port of the Service: its number, 1 to 65535, or its name. The port of a headless Service is not translated: a
    number is used as it is, a name refers to the port of the pods."""

    frontend: FrontendType = FrontendType.CLUSTER_IP
    """Which address is requested. ClusterIP: the address that the name resolves to. NodePort: the InternalIP of the
    source's node and the NodePort of the port, without name resolution; requires that Cilium replaces kube-proxy."""


class WorkloadDestination(ApiModel):
    """A workload. Each of its ready pods is requested, at its own IP address."""

    kind: WorkloadKind
    """Kind of the workload."""

    name: WorkloadName
    """Name of the workload."""

    namespace: Label | None = None
    """Namespace of the workload. Default: the namespace of the probe."""

    port: PortNumber
    """Port number of the requests: 1 to 65535."""


class AddressDestination(ApiModel):
    """A host outside the cluster. Its path is judged as far as the device where packets leave the node."""

    host: HostName
    """A DNS name or an IP address outside the ranges of pods, Services and nodes. A name is resolved in the source
    pod; for a Service of the cluster, use service."""

    port: PortNumber
    """Port number of the request: 1 to 65535."""


class Destination(ApiModel):
    """The destination of requests: exactly one of pod, service, workload and address."""

    rules: ClassVar = (
        Rule(
            "[has(self.pod), has(self.service), has(self.workload), has(self.address)]"
            ".filter(given, given).size() == 1",
            "must specify exactly one of pod, service, workload and address",
            lambda destination: destination.kinds.count(None) == len(destination.kinds) - 1,
        ),
        Rule(
            "!has(self.backends) || has(self.service)",
            "backends refers to those of a Service: leave it out, or specify service",
            lambda destination: destination.backends is None or destination.service is not None,
        ),
    )

    pod: PodDestination | None = None
    """A pod, requested at its own IP address."""

    service: ServiceDestination | None = None
    """A Service, requested as NAME.NAMESPACE.svc or at its NodePort."""

    workload: WorkloadDestination | None = None
    """A workload. Each of its ready pods is requested, at its own IP address."""

    address: AddressDestination | None = None
    """A host outside the cluster, requested by its name or IP address."""

    backends: RequestedBackends | None = None
    """Which backends of the Service are requested. Any: the one that load balancing selects. Each: also every ready
    backend that is a pod, directly at its own IP address. Default: Any."""

    @property
    def kinds(self) -> tuple[ApiModel | None, ...]:
        """What can be specified; one of them is."""
        return self.pod, self.service, self.workload, self.address
