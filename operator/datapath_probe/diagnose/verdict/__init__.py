"""Findings → verdict: transitions, shared causes, lost packets, and the rules in their order.

Called by `diagnose.engine`.
"""
