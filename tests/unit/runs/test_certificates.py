"""The certificates that a request trusts, from the probe's own namespace: without them nothing is sent."""

from dataclasses import dataclass, field

import pytest

from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.collect.interfaces import CaCertificates
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.plan.request import CaSource
from unit.recorded import recorded
from unit.runs.recorded_cluster import play, probe_of

CA = {"configMap": {"name": "cas", "key": "ca.crt"}}
TLS = {"protocol": "HTTPS", "tls": {"caFrom": CA, "serverName": "star.test"}}
FORBIDDEN = Unavailable(EvidenceError.CA_FORBIDDEN, "the operator may not get Secret default/cas")


@dataclass
class Cas:
    """Always gives this answer."""

    answer: str | Unavailable
    asked: list[tuple[str, CaSource]] = field(default_factory=list)

    async def read(self, namespace: str, source: CaSource) -> str | Unavailable:
        self.asked.append((namespace, source))
        return self.answer


async def test_curl_gets_the_certificates_of_the_probes_own_namespace() -> None:
    run, cas = recorded("healthy-cross-node"), Cas("-----BEGIN CERTIFICATE-----")
    recording, runner, _ = play(run, cas=cas)
    await runner.run(probe_of(run, **TLS))
    assert cas.asked == [(run.plan.source.pod.namespace, CaSource("ConfigMap", "cas", "ca.crt"))]
    [words], [stdin] = recording.sent, recording.stdins
    assert "\n-----BEGIN CERTIFICATE-----" in words
    assert stdin is not None
    lines = stdin.decode().splitlines()
    assert lines[0] == 'url = "https://star.test:80/v1/request-landing"'
    assert lines[1].startswith('connect-to = "star.test:80:')


@pytest.mark.parametrize("cas", [Cas(FORBIDDEN), None])
async def test_without_them_nothing_is_sent_and_the_path_is_still_judged(cas: CaCertificates | None) -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run, cas=cas)
    result = await runner.run(probe_of(run, **TLS))
    assert recording.sent == []
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.verdict is ProbeVerdict.UNKNOWN
    assert result.worst.reason == ("CAForbidden" if cas else "NotCollected")
    assert "Secret default/cas" in result.worst.message or cas is None
    judged = {finding.hop: finding.verdict for finding in result.worst.findings}
    assert judged[HopName.IPCACHE_LOOKUP] is HopVerdict.OK


async def test_without_a_name_for_them_none_are_read() -> None:
    run, cas = recorded("healthy-cross-node"), Cas(FORBIDDEN)
    recording, runner, _ = play(run, cas=cas)
    await runner.run(probe_of(run, protocol="HTTPS", tls={"insecureSkipVerify": True}))
    assert cas.asked == []
    [words] = recording.sent
    assert "--insecure" in words
