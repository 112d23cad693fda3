"""When probes run: the registry of probes, their timetable, and the scheduler that starts due runs.

In: probes that `control.handlers` observes. Out: calls of `runs`, and results for `publish`. Called by `control.app`.
"""
