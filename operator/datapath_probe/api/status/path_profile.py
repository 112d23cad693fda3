"""The profile of a probe's path: facts that stay the same from run to run. Part of the status."""

from typing import Annotated

from ..limits import Clip
from ..model import ApiModel
from ..vocabulary import LoadBalancing
from .fields import BriefName, Count, Line, Name, Short, Time

SOURCES_LIMIT = 8
BACKENDS_LIMIT = 32
PROGRAMS_LIMIT = 4


class PodPlacement(ApiModel):
    """A pod and its node."""

    pod: BriefName
    """Name of the pod."""

    node: BriefName
    """Name of the pod's node."""


class NodeAttachment(ApiModel):
    """The programs that process packets from pods on a node, and how they are attached."""

    node: BriefName
    """Name of the node."""

    attach_mode: Short
    """How the programs are attached to the pods' interfaces: tcx, tc or netkit."""

    programs: Annotated[tuple[Short, ...], Clip(PROGRAMS_LIMIT)] = ()
    """Names of the programs, in the order in which they run."""


class PathProfile(ApiModel):
    """Facts about the path that do not change from run to run. Each run is compared with them; a difference is a path
    change."""

    last_change_time: Time
    """Time when the path changed last, or when it was first observed."""

    last_change: Line | None = None
    """Description of the last change. Absent until the first change."""

    change_count: Count = 0
    """Number of path changes since the probe was created."""

    destination: Name
    """Destination that is requested: namespace/name:port."""

    routing: Short
    """How packets travel between nodes: vxlan, geneve or native."""

    load_balancing: LoadBalancing
    """Where the backend of the Service is selected. PerPacket: in the datapath of the source's interface. Socket: in
    connect(), inside the pod. None: the destination is not a Service."""

    endpoint_routes: bool = False
    """Whether each endpoint has its own route (endpoint routes)."""

    sources: Annotated[tuple[PodPlacement, ...], Clip(SOURCES_LIMIT)] = ()
    """Pods that send requests."""

    backends: Annotated[tuple[PodPlacement, ...], Clip(BACKENDS_LIMIT)] = ()
    """Pods that can answer requests."""

    backend_count: Count = 0
    """Number of pods that can answer requests, including those that are not listed."""

    node_attachments: Annotated[tuple[NodeAttachment, ...], Clip(SOURCES_LIMIT + BACKENDS_LIMIT)] = ()
    """Programs attached on the nodes of sources and backends, as far as runs have observed them."""
