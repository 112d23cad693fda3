"""Scripts for facts that no tool in the agent's image can read. Run by its perl, which Ubuntu and Debian images
include.
"""
