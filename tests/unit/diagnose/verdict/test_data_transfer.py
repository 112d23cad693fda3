"""Where data of an established connection may be lost, by the flags in the destination's entry."""

from dataclasses import replace

import pytest

from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.context import CheckContext
from datapath_probe.diagnose.examination import Examination
from datapath_probe.diagnose.failure_model.model import DESTINATION_HOPS, REPLY_HOPS, REQUEST_HOPS
from datapath_probe.diagnose.verdict.data_transfer import transfer_hops
from datapath_probe.sources.maps.conntrack import CtEntry, TcpFlag
from unit.recorded import recorded

HANDSHAKE = TcpFlag.SYN | TcpFlag.ACK
DATA = HANDSHAKE | TcpFlag.PSH


def context(received: TcpFlag, sent: TcpFlag, protocol: str = "http") -> CheckContext:
    """A connection whose destination's entry has these flags."""
    run = recorded("healthy-cross-node")
    run = replace(run, plan=replace(run.plan, request=replace(run.plan.request, protocol=protocol)))
    found = Examination.of(run).context
    entry = found.connection.incoming
    assert isinstance(entry, CtEntry)
    entry = replace(entry, rx_flags=received, tx_flags=sent)
    return replace(found, connection=replace(found.connection, incoming=entry))


@pytest.mark.parametrize(
    ("received", "sent", "hops"),
    [
        (HANDSHAKE, HANDSHAKE, {*REQUEST_HOPS}),
        (DATA, HANDSHAKE, {*DESTINATION_HOPS}),
        (DATA, DATA, {*DESTINATION_HOPS, *REPLY_HOPS}),
    ],
)
def test_data_was_lost_after_the_last_entry_that_recorded_it(
    received: TcpFlag, sent: TcpFlag, hops: set[HopName]
) -> None:
    assert transfer_hops(context(received, sent)) == hops


def test_data_of_a_tls_handshake_is_not_the_request() -> None:
    assert transfer_hops(context(DATA, DATA, protocol="https")) == {
        *REQUEST_HOPS,
        *DESTINATION_HOPS,
        *REPLY_HOPS,
    }


def test_without_an_entry_data_may_be_lost_anywhere() -> None:
    found = context(DATA, DATA)
    unknown = replace(found, connection=replace(found.connection, incoming=None))
    assert transfer_hops(unknown) == {*REQUEST_HOPS, *DESTINATION_HOPS, *REPLY_HOPS}
