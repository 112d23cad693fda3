"""eBPF objects as bpftool prints them (programs, links, attachments), and the maps of each version of Cilium.

In: answers of bpftool. Out: typed records. Called by `diagnose` and `sources.maps`.
"""
