"""Plan and evidence → findings → verdict.

In: a `Plan`, the `Evidence` of its run and curl's report. Out: a `Diagnosis`. Called by `runs` and by
`datapath-probe replay`. Pure: the same input always gives the same verdict.
"""
