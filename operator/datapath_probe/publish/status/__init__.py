"""Results → `.status` of a probe.

In: the record of a run and the status before it. Out: the status to be written. Pure.
"""
