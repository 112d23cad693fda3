"""One function for each hop.

In: the `CheckContext` and the expected hop. Out: a `Finding`. Called through `checks.registry`.
"""
