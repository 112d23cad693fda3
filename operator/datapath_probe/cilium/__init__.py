"""Cilium's, bpftool's, iproute2's and curl's outputs → typed records. One module, one object of the datapath.

In: typed values (addresses, ports, ids). Out: a `Question` with the exact argv, and for its `Reading` a record,
`Absent` (asked, and not there) or `Unavailable` (no evidence). `collect` asks, `diagnose` calls the same builder to
find the answer in the `Evidence` and the parser beside it to read it. Pure; parsers never raise, builders raise
ValueError when handed what is no address, port or id.
"""
