"""What each package does, in a few words: the only part of the drawing that is written by hand."""

from collections.abc import Mapping

ALL: Mapping[str, str] = {
    "cli": "the datapath-probe command",
    "control": "composition root, kopf handlers, schedule",
    "nodes": "node agents",
    "kube": "adapters to the API server: watch, exec, write",
    "publish": "what users see of a result",
    "runs": "one run of a probe, from plan to diagnosis",
    "collect": "collects evidence in rounds",
    "diagnose": "evidence → findings → verdict",
    "plan": "what Kubernetes intends",
    "tools": "facts → commands",
    "sources": "facts of each tool, and parsers for the answers",
    "evidence": "facts, and their readings",
    "api": "spec, status, the CRD",
}

DIAGNOSE: Mapping[str, str] = {
    "engine": "a run → its diagnosis, or the facts still missing",
    "examination": "all checks of one path",
    "other_paths": "backends that were not used",
    "context_builder": "a run → what a check is given",
    "checks": "one function for each hop",
    "verdict": "rules in their order",
    "datapath": "Cilium: maps, programs, policy, load balancing",
    "netstack": "Linux: FIB, netfilter, …",
    "context": "what a check is given",
    "connection": "conntrack entries and events of this 5-tuple",
    "lookup": "look-ups that several checks share",
    "finding": "what a check can say",
    "failure_model": "what defects do to packets",
    "run": "the record of a run",
}
