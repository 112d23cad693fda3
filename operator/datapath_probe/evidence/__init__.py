"""Raw evidence: facts, and what a collector had to say of each, byte for byte.

In: facts that `sources` make, and readings brought by `kube`. Out: an `Evidence` store that `diagnose`
reads and that can be saved and replayed. Pure: no I/O, no clock.
"""
