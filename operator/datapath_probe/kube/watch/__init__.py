"""List and watch: the cluster's objects in memory, and since when that view is stale.

In: an `ApiClient`. Out: the `Inventory` of `plan`. Called by `kube.cluster`.
"""
