"""Holds it all together: kopf's watch → known probes → schedule → runs → what people see.

In: events of the API server and the clock. Out: calls of `Runner.run`, and of `publish` with what it found.
`app` is the composition root, called by `cli`.
"""
