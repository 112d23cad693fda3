"""Saved evidence: the files of `--save-evidence`, and who writes them behind the verdict.

Called by `control.schedule.run_executor`.
"""
