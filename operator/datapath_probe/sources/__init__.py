"""The output of Cilium, bpftool, iproute2, netfilter and curl → typed records. One module per object of the datapath.

In: typed values (addresses, ports, ids). Out: a `Fact` to ask for, and for its `Reading` a record, `Absent` (read, and
not there) or `Unavailable` (no evidence). `diagnose` calls a builder to name the fact that it needs, and the parser
next to it to read the answer. Pure. Parsers never raise; builders raise ValueError for an invalid address, port or id.
"""
