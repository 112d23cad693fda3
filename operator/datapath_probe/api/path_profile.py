"""The way that packets take, in words that outlive a restart of the operator. Part of the status."""

from typing import Annotated

from .model import ApiModel, Clip
from .status_fields import Count, IpcacheMatch, Line, Name, Short, Time

SOURCES_LIMIT = 8
BACKENDS_LIMIT = 32


class Place(ApiModel):
    """A pod and its node."""

    pod: IpcacheMatch
    """Name of the pod."""

    node: IpcacheMatch
    """Its node."""


class NodeEntry(ApiModel):
    """How packets of pods come under Cilium's care on a node."""

    node: IpcacheMatch
    """Name of the node."""

    attach: Short
    """How programs are attached: tcx, tc or netkit."""

    programs: IpcacheMatch
    """Names of the programs, in the order in which they run."""


class Way(ApiModel):
    """The way that packets take, as it was when it last stood still: what a new run is compared with."""

    since: Time
    """When the way was first seen to be this one."""

    change: Line | None = None
    """What changed then, in words; absent while the way is the first that was seen."""

    destination: Name
    """What is asked for: namespace/name:port."""

    routing: Short
    """How packets travel between nodes: vxlan, geneve or native."""

    load_balancing: Short
    """Who chooses the Service's backend: per packet (the source's program), socket (connect() in the pod), or none
    when no Service is asked."""

    endpoint_routes: bool = False
    """Whether pods have routes of their own."""

    sources: Annotated[tuple[Place, ...], Clip(SOURCES_LIMIT)] = ()
    """The pods that send requests."""

    backends: Annotated[tuple[Place, ...], Clip(BACKENDS_LIMIT)] = ()
    """The pods that may answer."""

    backend_count: Count = 0
    """How many may answer: more than are listed, if they are too many."""

    entries: Annotated[tuple[NodeEntry, ...], Clip(SOURCES_LIMIT + BACKENDS_LIMIT)] = ()
    """What is attached where packets of pods enter these nodes, as far as it was seen."""
