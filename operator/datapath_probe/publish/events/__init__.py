"""Statuses → Kubernetes Events, and how many Events a probe may send.

In: a status and the previous one. Out: an `Event` of `publish.interfaces`. Called by `publish.publisher`.
"""
