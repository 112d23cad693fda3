"""Saved evidence: the files of `--save-evidence`, and the background task that writes them.

In: finished runs. Out: files. Called by `control.schedule.run_executor`.
"""
