"""The network stack of the kernel, from iproute2 and procfs → typed records. Called by `diagnose`.

Links, routes, neighbors, qdiscs, tc filters, sockets.
"""
