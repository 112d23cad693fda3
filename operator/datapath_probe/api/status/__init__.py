"""The status of a probe: what the operator writes, one module for each part of it. In: values of `publish`. Out: a
`ProbeStatus` and its JSON. Called by `publish` and `cli`.
"""
