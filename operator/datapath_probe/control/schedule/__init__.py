"""When probes run: the registry of probes, their timetable, and the scheduler that starts runs in time.

In: probes as `control.handlers` sees them. Out: runs, handed to `runs`. Called by `control.app`.
"""
