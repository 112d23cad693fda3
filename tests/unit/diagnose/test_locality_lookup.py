"""Endpoint entries of pods on another node: their packets do not leave the node."""

from dataclasses import replace

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.sources.maps import lxcmap
from unit.diagnose.altered_runs import ends
from unit.recorded import recorded

REPLIES_LOST = "kpr/reply-neighbour-wrong@1.18.5"


def test_replies_that_do_not_leave_the_node_are_explained_by_its_endpoint_map() -> None:
    run = recorded(REPLIES_LOST)
    here, there = ends(run)
    address = run.plan.source.ip
    entry = run.evidence.latest(lxcmap.lookup(here, address))
    evidence = run.evidence
    for _ in range(2):
        evidence = evidence.adding([lxcmap.lookup(there, address)], [entry])
    divergence = diagnose(replace(run, evidence=evidence)).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.node) == (HopName.REPLY_IPCACHE, there)
    assert divergence.reason is Reason.UNEXPECTED_LOCAL_ENDPOINT
