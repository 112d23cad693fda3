"""The API: the DatapathProbe as users write it and as the operator reports it, and its generated CRD.

In: objects of the API server. Out: `Probe` (spec and previous status, validated) or `InvalidSpec`, and `ProbeStatus`
for writing. Called by `control`, `plan` and `publish`. Pure: no I/O, no clock.
"""
