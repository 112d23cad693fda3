"""Of several things that swallow packets the first is named, on the node where it is."""

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.judge import Contradiction, Hop
from datapath_probe.diagnose.lens import Lens
from datapath_probe.diagnose.losses import unless
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.path import ExpectedHop

HERE = Contradiction(Reason.NEIGHBOUR_WRONG, "a wrong neighbour")
THERE = Contradiction(Reason.PACKET_FILTER_DROPS, "a filter of the other node", node="node2")


def test_a_filter_of_the_other_node_does_not_move_what_comes_before_it() -> None:
    hop = Hop(ExpectedHop(HopName.NODE_ROUTING, "node1"), "route", Lens(Evidence()), second_look=True)
    fine = hop.fine("a route")
    assert unless(hop, fine, HERE, THERE).node == "node1"
    assert unless(hop, fine, None, THERE).node == "node2"
