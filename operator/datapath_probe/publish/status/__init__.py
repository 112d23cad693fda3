"""Results → `.status` of a probe.

In: the record of a run and the previous status. Out: the next status. Called by `publish.publisher` and `cli`. Pure.
"""
