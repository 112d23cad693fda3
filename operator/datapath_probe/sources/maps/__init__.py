"""Cilium's eBPF maps: conntrack, ipcache, load balancing, endpoints, policy. Facts in, typed records out."""
