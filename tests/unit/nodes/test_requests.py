"""A node agent sends only what a DatapathProbe could specify, and nothing to where it may not."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.nodes.agent.pods import NoSuchPodError, PodView
from datapath_probe.nodes.agent.processes import Ended
from datapath_probe.nodes.agent.requests import Requests, validated
from datapath_probe.nodes.certificates.authority import new_authority
from datapath_probe.plan.outside import AddressRestrictions
from datapath_probe.sources.curl.request import Tls
from unit.nodes.samples import NOW, POD, request

REPORT = b'{"http_code":200,"remote_ip":"%s","time_total":0.01,"time_connect":0.001,"curl_version":"8"}'


class Pods:
    """One pod."""

    @contextmanager
    def view(self, uid: str) -> Iterator[PodView]:
        if uid != POD:
            raise NoSuchPodError("no process of the pod runs here")
        yield PodView(7, (("/etc/resolv.conf", "nameserver 10.96.0.10\n"),))


class Processes:
    """Runs nothing, and says what it was to run."""

    def __init__(self, ended: Ended) -> None:
        self.ended = ended
        self.asked: list[tuple[tuple[str, ...], dict[str, object]]] = []

    async def run(self, argv: tuple[str, ...], **options: object) -> Ended:
        self.asked.append((argv, options))
        return self.ended


def sending(remote_ip: str = "10.0.1.7", **restrictions: tuple[object, ...]) -> tuple[Requests, Processes]:
    report = REPORT.replace(b"%s", remote_ip.encode())
    processes = Processes(Ended(0, b"Ship landed", report, 0.0, 0.01, truncated=False))
    allowed = AddressRestrictions(**restrictions)  # type: ignore[arg-type]
    return Requests(processes, Pods(), allowed), processes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": "file"},
        {"protocol": "telnet"},
        {"host": "localhost"},
        {"host": "-K.example"},
        {"host": "0x7f.1"},
        {"host": "a.b/c"},
        {"host": "example.com:22"},
        {"host": "example.com\nurl = file:///etc/shadow"},
        {"port": 0},
        {"port": 65536},
        {"local_port": 80},
        {"local_port": 31000},
        {"method": "CONNECT"},
        {"method": "-o"},
        {"path": "etc"},
        {"path": "/a b"},
        {"path": "/\n-o /x"},
        {"headers": (("X", "a\r\nY: b"),)},
        {"headers": (("@/etc/shadow", "1"),)},
        {"headers": (("Connection", "close"),)},
        {"headers": (("X", "1"),) * 17},
        {"body": b"x" * 4097},
        {"body": b"\xff"},
        {"body": b"\x00"},
        {"timeout_s": 0.0},
        {"timeout_s": 61.0},
        {"timeout_s": float("nan")},
        {"timeout_s": float("inf")},
        {"tls": Tls("", "x.y")},
        {"protocol": "https", "tls": Tls("", "-K")},
        {"protocol": "https", "tls": Tls("not PEM")},
        {"protocol": "https", "tls": Tls("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----")},
        {"protocol": "tcp"},
    ],
    ids=str,
)
async def test_what_no_probe_could_specify_is_not_sent(changes: dict[str, object]) -> None:
    requests, processes = sending()
    with pytest.raises(ValueError, match=r"."):
        await requests.send(POD, request(**changes))
    assert not processes.asked


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"host": "10.0.1.7"},
        {"host": "fd00::1"},
        {"protocol": "https", "tls": Tls("", "death.star")},
        {"protocol": "tcp", "method": "GET", "path": "/", "headers": (), "body": b""},
        {"timeout_s": 0.1},
        {"timeout_s": 60.0},
    ],
    ids=str,
)
async def test_what_a_probe_could_specify_is_sent_without_privileges(changes: dict[str, object]) -> None:
    requests, processes = sending()
    assert isinstance(await requests.send(POD, request(**changes)), Answer)
    [(argv, options)] = processes.asked
    where = options["where"]
    assert argv[:2] == ("curl", "-q")
    assert (where.network, where.unprivileged) == (7, True)  # type: ignore[attr-defined]
    resolver = (("/etc/resolv.conf", "nameserver 10.96.0.10\n"),)
    assert where.files == (() if "host" in changes else resolver)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "a.localhost", "::ffff:127.0.0.1"],  # noqa: S104
)
async def test_nothing_is_sent_to_the_source_itself_or_to_its_link(host: str) -> None:
    requests, processes = sending()
    reading = await requests.send(POD, request(host=host))
    assert isinstance(reading, Unavailable)
    assert reading.reason is EvidenceError.ADDRESS_FORBIDDEN
    assert not processes.asked


async def test_nothing_is_sent_to_what_this_agent_denies() -> None:
    requests, processes = sending(denied=(ip_network("10.0.0.0/8"),))
    reading = await requests.send(POD, request(host="10.0.1.7"))
    assert isinstance(reading, Unavailable)
    assert not processes.asked


async def test_what_a_name_led_to_is_not_shown_if_it_is_denied() -> None:
    requests, _ = sending(remote_ip="169.254.169.254")
    reading = await requests.send(POD, request(host="metadata.example.com"))
    assert isinstance(reading, Unavailable)
    assert "not shown" in reading.message


async def test_only_pods_of_this_node_send() -> None:
    requests, processes = sending()
    reading = await requests.send("another", request())
    assert isinstance(reading, Unavailable)
    assert reading.reason is EvidenceError.POD_NOT_FOUND
    assert not processes.asked


def test_certificates_are_passed_on_without_what_stands_around_them() -> None:
    pem = new_authority(NOW).certificate.decode()
    passed = validated(request(protocol="https", tls=Tls(f"a comment\n{pem}"))).tls.trusted
    assert "comment" not in passed
    assert "".join(passed.split()) == "".join(pem.split())
