"""Raw evidence: what was asked where, and what came back, byte for byte.

In: commands chosen by `cilium` and results brought by `kube`. Out: an `Evidence` store that `diagnose`
reads and that can be saved and replayed. Pure: no I/O, no clock.
"""
