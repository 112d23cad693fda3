"""Certificates are read from the namespace of the probe, and not at every run."""

import shutil
from collections.abc import Mapping

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.kube import ca_reader, rest
from datapath_probe.kube.ca_reader import FAILURE_KEPT_S, KEPT_S, MAX_KEPT, CaReader
from datapath_probe.kube.rest import ApiError
from datapath_probe.plan.request import CaSource
from unit.sources.curl.pki import Pki

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
SOURCE = CaSource("ConfigMap", "cas", "ca.crt")


class Api:
    """Answers each GET with `answer`, or raises it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.now = 0.0
        monkeypatch.setattr(rest, "request", self._request)
        self.reader = CaReader(None, lambda: self.now)  # type: ignore[arg-type]  # no client is needed

    async def _request(
        self, _: object, method: str, path: str, query: Mapping[str, str], *, timeout_s: float
    ) -> object:
        assert (method, query, timeout_s) == ("GET", {}, ca_reader.TIMEOUT_S)
        self.asked.append(path)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Pki.create(tmp_path_factory.mktemp("pki")).authority("ca").pem


async def test_an_answer_is_kept_for_a_while(monkeypatch: pytest.MonkeyPatch, pem: str) -> None:
    api = Api(monkeypatch, {"data": {"ca.crt": pem}})
    for _ in range(3):
        assert await api.reader.read("shop", SOURCE) == pem
    assert api.asked == ["/api/v1/namespaces/shop/configmaps/cas"]
    api.now += KEPT_S
    await api.reader.read("shop", SOURCE)
    await api.reader.read("other", SOURCE)
    await api.reader.read("shop", CaSource("Secret", "cas", "ca.crt"))
    assert api.asked[1:] == [
        "/api/v1/namespaces/shop/configmaps/cas",
        "/api/v1/namespaces/other/configmaps/cas",
        "/api/v1/namespaces/shop/secrets/cas",
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiError("not found", 404), EvidenceError.CA_NOT_FOUND),
        (ApiError("forbidden", 403), EvidenceError.CA_FORBIDDEN),
        (ApiError("busy", 503), EvidenceError.NOT_COLLECTED),
        (ApiError("no response within 5 s"), EvidenceError.NOT_COLLECTED),
    ],
)
async def test_a_failure_is_a_reason_that_names_the_object(
    monkeypatch: pytest.MonkeyPatch, pem: str, error: ApiError, reason: EvidenceError
) -> None:
    api = Api(monkeypatch, error)
    read = await api.reader.read("shop", SOURCE)
    assert isinstance(read, Unavailable)
    assert read.reason == reason
    assert "ConfigMap shop/cas" in read.message
    api.answer = {"data": {"ca.crt": pem}}
    api.now += FAILURE_KEPT_S
    assert await api.reader.read("shop", SOURCE) == pem


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(monkeypatch, {})
    for number in range(MAX_KEPT + 5):
        await api.reader.read(f"n{number}", SOURCE)
    assert len(api.reader._kept) == MAX_KEPT
    api.now += KEPT_S
    await api.reader.read("another", SOURCE)
    assert len(api.reader._kept) == 1
