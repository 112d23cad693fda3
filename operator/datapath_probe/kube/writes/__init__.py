"""What is written to the API server: `.status` by server-side apply, Events.

Implements `publish.interfaces`.
"""
