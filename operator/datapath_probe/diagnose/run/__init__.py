"""The record of one run, and the format of saved bundles: the input of diagnosis."""
