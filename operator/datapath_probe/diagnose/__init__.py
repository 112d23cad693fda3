"""Plan and evidence → findings → verdict.

In: a `Plan`, the `Evidence` of its run and curl's report. Out: a `Diagnosis`. Called by `control` and by
`datapath-probe replay`. Pure: the same input gives the same verdict, whenever and wherever.
"""
