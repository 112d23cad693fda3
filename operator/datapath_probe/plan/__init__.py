"""Spec and inventory → a plan: the concrete pair, what Kubernetes intends for it, and the path it should take.

In: `api` specs and the `Inventory` kept by `kube`. Out: `Plan`, or `CannotRun` with a reason. Called by
`control`. Pure: no I/O, no clock.
"""
