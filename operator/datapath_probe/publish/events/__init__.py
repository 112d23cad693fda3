"""Results → Kubernetes Events, and how many a probe may write.

In: a status and the one before. Out: `EventNote`s for `kube.writes`.
"""
