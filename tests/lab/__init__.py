"""A real Kubernetes + Cilium cluster in network namespaces of this machine: no Docker, no image registry.

In: the settings (datapath mode, attach kind, Cilium version, number of nodes) and nothing but package
registries. Out: a running cluster, an admin kubeconfig, and `lab.cluster.Lab`, through which the e2e tests
reach nodes, agents and images. Called by `make lab-*` (see `lab.mk`) and by `tests/e2e`. See `docs/lab.md`.
"""
