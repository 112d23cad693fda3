"""Writes to the API server: `.status` by server-side apply, and Events.

In: what `publish` makes of a run. Out: requests. Implements `publish.interfaces`; called by `control.app` and `cli`.
"""
