"""One run of one probe, from plan to diagnosis.

In: a probe and the inventory. Out: a `RunResult`. Called by `control` and by `cli`. It knows the cluster only
by the interfaces of `collect`, and writes nothing.
"""
