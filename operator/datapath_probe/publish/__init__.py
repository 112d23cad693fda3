"""What a run found → what users see: status, Events, metrics and reports.

In: the probe, its earlier status and a `RunResult`. Out: the next `ProbeStatus`, Events, Prometheus series, a
hop-by-hop report. Called by `control` and `cli`. It writes to the API server only through `publish.interfaces`.
"""
