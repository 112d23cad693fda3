"""The spec of a probe: what users write, one module for each part of it. In: an object of the API server. Out: a
`ProbeSpec`. Read by `plan` and `control`; the CRD is generated from it.
"""
