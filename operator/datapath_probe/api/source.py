"""Where requests of a probe come from. Part of the spec."""

from enum import StrEnum

from .model import ApiModel
from .scalars import Label, PodName


class Client(StrEnum):
    """Where curl runs."""

    CONTAINER = "Container"


class Source(ApiModel):
    """The pod that sends the request, in the namespace of the probe."""

    pod: PodName
    """Name of the pod that sends the request."""

    container: Label | None = None
    """Container of the pod in which curl runs. Default: the container that the pod's annotation
    kubectl.kubernetes.io/default-container names, otherwise the first container."""

    client: Client = Client.CONTAINER
    """Where curl runs. Container: in the container itself, which requires curl 7.70 or later."""
