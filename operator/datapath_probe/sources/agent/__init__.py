"""Information from the Cilium agent: configuration, endpoints, policies, and its metrics of the datapath.

In: answers of the agent's tools. Out: typed records. Called by `diagnose`.
"""
