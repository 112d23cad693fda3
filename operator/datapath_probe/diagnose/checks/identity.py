"""Hop `source-identity`: the destination's node took the source for who it is. In a tunnel the identity travels with a
packet (VNI); in native routing the node's own ipcache tells it, which is judged as `reply-ipcache`.

Source: Cilium 1.18 `bpf/bpf_overlay.c`, `bpf/lib/conntrack.h` (`src_sec_id`).
"""

from ...api.reasons import Reason
from ...cilium.conntrack import CtEntry
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ..case import Case
from ..findings import Finding


def check_source_identity(case: Case, expected: ExpectedHop) -> Finding:
    """The identity that the entry of this connection was written with."""
    name = f"{case.source.pod.namespace}/{case.source.pod.name}"
    hop = case.hop(expected, f"identity of {name}")
    if case.source.endpoint is None:
        return hop.unknown(Unavailable(Reason.CILIUM_ENDPOINT_MISSING, f"pod {name} has no CiliumEndpoint"))
    identity = case.source.endpoint.identity
    hop.intent(f"identity {identity}", {"identity": identity})
    entry = case.connection.incoming
    if isinstance(entry, Unavailable):
        return hop.unknown(entry)
    if not isinstance(entry, CtEntry):
        if case.outcome.met:
            return hop.fine("not noted: the entry of this connection is gone already")
        return hop.unknown(
            Unavailable(Reason.NOT_OBSERVED, "no packet of this connection was seen to arrive")
        )
    hop.observed(f"identity {entry.source_identity}", {"identity": entry.source_identity})
    if entry.source_identity != identity:
        return hop.broken(
            Reason.WRONG_IDENTITY,
            f"{expected.node} took {name} for identity {entry.source_identity}, but it is {identity}",
        )
    return hop.fine(f"{expected.node} took the source for identity {identity}")
