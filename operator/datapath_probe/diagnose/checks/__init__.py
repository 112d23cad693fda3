"""One function for each hop.

In: the `CheckContext` and the hop expected. Out: a `Finding`. Called by `diagnose.engine`.
"""
