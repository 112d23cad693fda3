"""Cilium's, bpftool's, iproute2's and curl's outputs → typed records. One module, one object of the datapath.

In: typed values (addresses, ports, ids). Out: a `Fact` to ask for, and for its `Reading` a
record, `Absent` (asked, and not there) or `Unavailable` (no evidence). `diagnose` calls a builder to name
what it wants to know, and the parser beside it to read the answer. Pure; parsers never raise, builders raise
ValueError when handed what is no address, port or id.
"""
