"""The operator process: kopf's watch → registry of probes → schedule → runs → status, Events and metrics.

In: watch events of the API server, and the clock. Out: calls of `Runner.run`, and of `publish` with each result.
`app` is the composition root, called by `cli`.
"""
