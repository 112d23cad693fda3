"""API objects (JSON) → the records of `plan.objects`.

In: one object. Out: one record. Called by `kube.watch.inventory`. Pure, and total: a missing or invalid field affects
only its own value.
"""
