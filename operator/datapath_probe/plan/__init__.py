"""Spec and inventory → plans: a concrete pair each, the state that Kubernetes intends for it, and the expected path.

In: `api` specs and the `Inventory` kept by `kube`. Out: `Plan`s, or `CannotRun` with a reason. Called by `runs`. Pure:
no I/O, no clock.
"""
