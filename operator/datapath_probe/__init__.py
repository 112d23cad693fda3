"""Datapath Probe: a Kubernetes operator that probes paths through Cilium and names the broken hop."""

__version__ = "0.1.0"
