"""What a run found → what people see: status, Events, metrics, reports.

In: the probe, its earlier status and a `RunResult`. Out: the next `ProbeStatus`, the text of an Event, series
of Prometheus, a hop-by-hop report. Called by `control` and `cli`. It writes to the API server only through
`interfaces`.
"""
