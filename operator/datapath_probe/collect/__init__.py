"""Plan → evidence: asks the agents, sends the request, reads again what is in doubt.

In: facts, and the interfaces of `collect.interfaces`, which `kube` implements. Out: readings. Called by `runs`. All I/O
happens through these interfaces.
"""
