"""Results → Prometheus series.

In: the records of runs. Out: what a scrape reads. Called by `publish.publisher`, read by `control.web`.
"""
