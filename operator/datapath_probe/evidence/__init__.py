"""Raw evidence: facts, and what a collector returned for each, byte for byte.

In: facts that `sources` make, and readings that `kube` returns. Out: an `Evidence` store that `diagnose` reads and that
can be saved and replayed. Pure: no I/O, no clock.
"""
