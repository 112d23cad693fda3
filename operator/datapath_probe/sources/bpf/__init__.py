"""eBPF objects as bpftool prints them: programs, links, attachments; and which maps a version of Cilium has."""
