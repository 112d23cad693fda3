"""Probe + inventory → the pairs of source and destination that the probe stands for now. Pure. Called by `runs`, which
has `resolve` make the plans of some of them.
"""
