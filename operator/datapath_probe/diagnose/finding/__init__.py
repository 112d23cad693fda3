"""The output of a check: statements of witnesses, findings, the diagnosis. Also how a check reads evidence."""
