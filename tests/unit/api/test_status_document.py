"""A status is kept as JSON, which is a fraction of the size and loses nothing."""

import pytest

from datapath_probe.api.bounds import fitted
from datapath_probe.api.status.document import StatusDocument
from datapath_probe.api.status.probe_status import ProbeStatus
from unit.api.statuses import largest_status

STATUSES = [
    ProbeStatus(),
    largest_status(hops=3),
    fitted(largest_status(paths=32)),
    ProbeStatus(summary="a lone surrogate, as JSON of an agent may contain: \ud800"),
]


@pytest.mark.parametrize("status", STATUSES)
def test_it_is_what_the_api_server_gets(status: ProbeStatus) -> None:
    document = StatusDocument.of(status)
    assert document.to_object() == status.to_object()
    assert document.parsed().to_object() == status.to_object()
    assert StatusDocument.of(document.parsed()) == document


def test_all_fields_but_the_paths_can_be_read_alone() -> None:
    status = largest_status(hops=2)
    alone = StatusDocument.of(status).parsed_without_paths()
    assert alone.paths == ()
    assert alone.to_object() == {**status.to_object(), "paths": []}
