"""Findings → verdict: transitions, shared causes, packet loss, and the ordered rules.

Called by `diagnose.engine`.
"""
