"""Facts → commands of the tools that print them: bpftool, iproute2, iptables, `cilium-dbg` …

In: a fact. Out: a `Command`. Called by the collectors `kube.exec` and `nodes`. Pure.
"""
