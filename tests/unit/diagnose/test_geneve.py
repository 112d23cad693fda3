"""Geneve is judged like VXLAN: recorded runs, converted to the other protocol."""

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import Encapsulation, HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun
from unit.recorded import recorded


def with_geneve(name: str) -> PathRun:
    """The run with `cilium_geneve` on its own port in place of `cilium_vxlan`."""
    text = Bundle(recorded(name)).to_json()
    return Bundle.from_json(text.replace(b"vxlan", b"geneve").replace(b"8472", b"6081")).run


@pytest.mark.parametrize("name", ["healthy-cross-node", "healthy-service-cross-node"])
def test_a_healthy_run_is_healthy(name: str) -> None:
    diagnosis = diagnose(with_geneve(name))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY, diagnosis.message
    assert diagnosis.encapsulation is Encapsulation.GENEVE
    assert {finding.verdict for finding in diagnosis.findings} == {HopVerdict.OK}
    objects = {finding.hop: finding.object for finding in diagnosis.findings}
    assert objects[HopName.OVERLAY_ENCAPSULATION] == "cil_to_overlay@cilium_geneve"


def test_its_device_is_named_when_it_is_down() -> None:
    diagnosis = diagnose(with_geneve("tunnel-device-down-source"))
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (
        HopName.OVERLAY_ENCAPSULATION,
        Reason.TUNNEL_DEVICE_DOWN,
    )
    assert "cilium_geneve" in diagnosis.message
