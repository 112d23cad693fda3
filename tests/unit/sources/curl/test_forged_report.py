"""What a wrapper of curl prints as its report."""

import json

from datapath_probe.sources.curl.write_out import members


def test_of_the_addresses_in_a_forged_report_only_some_are_kept() -> None:
    forged = json.dumps({"tried": [f"2a00::{number:x}" for number in range(5000)]}).encode()
    found = members(forged)
    assert found is not None
    tried = found["tried"]
    assert isinstance(tried, list)
    assert len(tried) == 16
