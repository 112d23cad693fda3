"""The record of one run, and its file format: what diagnosis works on, now or from a saved bundle."""
