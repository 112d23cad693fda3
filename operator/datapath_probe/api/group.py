"""The names of the resource in the API server, and the annotations and labels that users set on it."""

GROUP = "datapath-probe.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "DatapathProbe"
SINGULAR = "datapathprobe"
PLURAL = "datapathprobes"
SHORT_NAME = "dpp"

RUN_NOW_ANNOTATION = f"{GROUP}/run-now"
"""Any new value triggers one run at once."""

CAPTURE_ANNOTATION = f"{GROUP}/capture"
"""Any new value triggers one run at once, whose packets are captured."""

SEVERITY_LABEL = f"{GROUP}/severity"
"""Passed on to alerts as the label `severity` of `datapath_probe_info`: critical, warning, info or none."""
