"""The Linux side of a path: FIB, netfilter, qdiscs, veth pairs, sockets, MTU.

Called by the checks of the hops that own these objects.
"""
