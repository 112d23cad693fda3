"""The command `datapath-probe`: run the operator, report a probe, capture packets, replay a saved run.

In: arguments and environment. Out: a report, JSON, pcap files, or the running operator. Called by people and by the
Deployment. Each command imports its dependencies when it runs, so that `replay` needs no Kubernetes client and starts
fast.
"""
