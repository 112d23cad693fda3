"""Cilium's eBPF maps: conntrack, ipcache, load balancing, endpoints, policy.

In: answers of bpftool. Out: typed records. Called by `diagnose`.
"""
