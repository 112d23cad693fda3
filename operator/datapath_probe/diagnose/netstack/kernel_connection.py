"""The kernel's own conntrack entry of this run's connection on the source's node, which shows how netfilter translated
it. Called by the check of `masquerade` and by `verdict.exit_loss`.
"""

from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.netfilter import kernel_conntrack
from ...sources.netfilter.kernel_conntrack import KernelConnection
from ..context import CheckContext


def kernel_connection(context: CheckContext) -> tuple[Fact, KernelConnection | Absent | Unavailable]:
    """The fact, and the entry. Absent while the request is in flight: what is read then may be too early."""
    node, port = context.source.node.name, context.run.request.local_port
    assert context.backend is not None  # only paths to a backend leave the cluster
    fact = kernel_conntrack.fact(node, context.source.ip, port, context.address, context.backend.port)
    if context.report is None:
        return fact, Absent()
    return fact, context.reader.read(fact, kernel_conntrack.parse)
