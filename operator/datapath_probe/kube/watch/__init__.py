"""List and watch: the cluster's objects in memory, and how old that view is.

Out: the `Inventory` of `plan`. Called by `kube.cluster`.
"""
