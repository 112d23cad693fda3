"""The CRD and its reference page, generated from the models of `api`.

In: `ProbeSpec` and `ProbeStatus`. Out: `crds/datapathprobes.yaml` and `docs/api.md`. Called by `make crds`. Pure.
"""
