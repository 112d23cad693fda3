"""Plan → evidence: asks the agents, sends the request, asks again. Called by `control`.

I/O happens only through the protocols of `collect.interfaces`, which `kube` implements.
"""
