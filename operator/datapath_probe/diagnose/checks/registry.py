"""The check of each hop: between pods, and if an end of the path has no endpoint. Also the hops to judge on subpaths.

Checks get the registry from their context, so that checks of subpaths need not import this module. Called by
`context_builder`.
"""

from typing import Final

from ...api.vocabulary import HopName
from ..context import Registry
from . import host
from .endpoint_map import check_endpoint_lookup, check_locality_lookup, check_reply_delivery
from .identity import check_source_identity
from .interface import check_destination_interface, check_source_interface
from .ipam import check_ipam
from .ipcache import check_ipcache_lookup, check_reply_ipcache
from .name_resolution import check_name_resolution
from .outside import check_cluster_exit, check_masquerade
from .overlay import (
    check_overlay_decapsulation,
    check_overlay_encapsulation,
    check_reply_decapsulation,
    check_reply_encapsulation,
)
from .policy import check_egress_policy, check_ingress_policy
from .program import check_destination_program, check_reply_program, check_source_program
from .response import check_destination_response
from .routing import check_node_routing, check_reply_routing
from .service import check_service_lookup
from .translation import check_reply_translation, check_service_translation

# These need the packets of the request, or are not on the path of a DNS query.
_NOT_OF_QUERIES: Final = frozenset(
    {
        HopName.IPAM,
        HopName.NAME_RESOLUTION,
        HopName.SERVICE_TRANSLATION,
        HopName.SOURCE_IDENTITY,
        HopName.DESTINATION_RESPONSE,
    }
)

REGISTRY: Final = Registry(
    checks={
        HopName.IPAM: check_ipam,
        HopName.SOURCE_INTERFACE: check_source_interface,
        HopName.SOURCE_PROGRAM: check_source_program,
        HopName.NAME_RESOLUTION: check_name_resolution,
        HopName.SERVICE_LOOKUP: check_service_lookup,
        HopName.SERVICE_TRANSLATION: check_service_translation,
        HopName.IPCACHE_LOOKUP: check_ipcache_lookup,
        HopName.EGRESS_POLICY: check_egress_policy,
        HopName.LOCALITY_LOOKUP: check_locality_lookup,
        HopName.OVERLAY_ENCAPSULATION: check_overlay_encapsulation,
        HopName.NODE_ROUTING: check_node_routing,
        HopName.OVERLAY_DECAPSULATION: check_overlay_decapsulation,
        HopName.MASQUERADE: check_masquerade,
        HopName.CLUSTER_EXIT: check_cluster_exit,
        HopName.SOURCE_IDENTITY: check_source_identity,
        HopName.ENDPOINT_LOOKUP: check_endpoint_lookup,
        HopName.DESTINATION_PROGRAM: check_destination_program,
        HopName.INGRESS_POLICY: check_ingress_policy,
        HopName.DESTINATION_INTERFACE: check_destination_interface,
        HopName.DESTINATION_RESPONSE: check_destination_response,
        HopName.REPLY_PROGRAM: check_reply_program,
        HopName.REPLY_IPCACHE: check_reply_ipcache,
        HopName.REPLY_ENCAPSULATION: check_reply_encapsulation,
        HopName.REPLY_ROUTING: check_reply_routing,
        HopName.REPLY_DECAPSULATION: check_reply_decapsulation,
        HopName.REPLY_DELIVERY: check_reply_delivery,
        HopName.REPLY_TRANSLATION: check_reply_translation,
    },
    to_host={
        HopName.IPCACHE_LOOKUP: host.check_ipcache_lookup,
        HopName.EGRESS_POLICY: host.check_egress_policy,
        HopName.ENDPOINT_LOOKUP: host.check_endpoint_lookup,
        HopName.NODE_ROUTING: host.check_node_routing,
        HopName.REPLY_ROUTING: host.check_reply_routing,
    },
    from_host={
        HopName.IPAM: host.check_ipam,
        HopName.SOURCE_IDENTITY: host.check_source_identity,
        HopName.INGRESS_POLICY: host.check_ingress_policy,
        HopName.REPLY_IPCACHE: host.check_reply_ipcache,
        HopName.REPLY_DELIVERY: host.check_reply_delivery,
    },
    of_queries=frozenset(HopName) - _NOT_OF_QUERIES,
    of_kubelets=frozenset(
        {
            HopName.ENDPOINT_LOOKUP,
            HopName.DESTINATION_PROGRAM,
            HopName.DESTINATION_INTERFACE,
            HopName.REPLY_PROGRAM,
        }
    ),
)
