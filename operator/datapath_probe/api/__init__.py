"""The API: the DatapathProbe as people write it and as the operator answers, and its generated CRD.

In: objects of the API server. Out: `Probe` (spec and earlier status, validated) or `InvalidSpec`;
`ProbeStatus` goes back to it. Called by `control`, `plan` and `publish`. Pure: no I/O, no clock.
"""
