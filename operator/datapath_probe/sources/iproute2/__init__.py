"""The kernel's network stack as iproute2 and procfs print it.

Links, routes, neighbors, qdiscs, tc filters, sockets.
"""
