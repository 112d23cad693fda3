"""Hostile input arrives byte for byte or is rejected by the API server, without side effects.

The server's /echo returns the request, and the probe expects it in the response.
"""

import base64
import json

import pytest

from e2e.api import Object, Refused
from e2e.galaxy import Galaxy
from e2e.probes import Probes, brief

SHELL = "\"'`touch /tmp/pwned`$(touch /tmp/pwned);|&<>\\ %s{1,2}[3-4]~*?!"
BODIES = {
    "shell syntax": SHELL,
    "a file to read": "@/etc/passwd",
    "an option": "--output /tmp/pwned",
    "lines": f'line 1\r\n\nurl = "http://0.0.0.0"\n{SHELL}\n',
    "control characters": "\t\v\x01\x1b[31m\x7f",
    "not ASCII": "데스스타 ☠ é",
}
VALUES = {
    "shell syntax": SHELL.strip(),
    "a file to read": "@/etc/passwd",
    "an option": "-X DELETE",
    "not ASCII": "데스스타",
    "empty": "",
}
PATHS = {
    "shell syntax": "\"'`touch$IFS/tmp/pwned`$(touch$IFS/tmp/pwned);|&<>\\{1,2}[3-4]~*?!",
    "dots": "../../%2e%2e//./etc/passwd",
    "an option": "?-o=/tmp/pwned&--config=/etc/passwd",
    "escapes": "%0d%0aHost:%20evil?q=%00%s%n",
}


def echoing(path: str = "/echo", contains: str = "", **request: Object | list[Object] | str) -> Object:
    """A probe that succeeds if the response contains this."""
    return {
        "source": {"pod": "xwing"},
        "destination": {"service": {"name": "deathstar", "port": 80}},
        "request": {"method": "POST", "path": path, **request},
        "expect": {"bodyContains": contains},
    }


def assert_arrived(galaxy: Galaxy, probes: Probes, name: str, spec: Object) -> None:
    """The probe's expectation is met, and nothing was written in the source pod."""
    status = probes.create(name, spec).run_now()
    assert status["verdict"] in ("Healthy", "Degraded"), brief(status)
    assert "pwned" not in galaxy.sh("xwing", "ls -a / /tmp /root")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_bodies_arrive_byte_for_byte(galaxy: Galaxy, probes: Probes, body: str) -> None:
    arrived = f'"body": "{base64.b64encode(body.encode()).decode()}"'
    assert_arrived(galaxy, probes, "hostile-body", echoing(body=body, contains=arrived))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_header_values_arrive_byte_for_byte(galaxy: Galaxy, probes: Probes, value: str) -> None:
    header = {"name": "X-Hostile", "value": value}
    arrived = json.dumps([header["name"], value.encode().decode("latin-1")])
    assert_arrived(galaxy, probes, "hostile-header", echoing(headers=[header], contains=arrived))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_paths_arrive_byte_for_byte(galaxy: Galaxy, probes: Probes, path: str) -> None:
    target = f"/echo/{path}"
    arrived = json.dumps({"target": target})[1:-1]
    assert_arrived(galaxy, probes, "hostile-path", echoing(path=target, contains=arrived))


NAMES = ["$(touch /tmp/pwned)", "--help", "a;b", "a\nb", "@etc"]
REFUSED = {
    **{f"source {name!r}": {"source": {"pod": name}} for name in NAMES},
    **{f"container {name!r}": {"source": {"pod": "xwing", "container": name}} for name in NAMES},
    **{f"service {name!r}": {"destination": {"service": {"name": name, "port": 80}}} for name in NAMES},
    "header name": {"request": {"headers": [{"name": "X: evil\r\nY", "value": ""}]}},
    "header value with a line break": {"request": {"headers": [{"name": "X", "value": "a\r\nHost: evil"}]}},
    "header that frames the request": {"request": {"headers": [{"name": "Content-Length", "value": "0"}]}},
    "path with a line break": {"request": {"path": "/ HTTP/1.1\r\nHost: evil\r\n\r\n"}},
    "path with a space": {"request": {"path": "/a b"}},
    "path with a fragment": {"request": {"path": "/a#b"}},
    "NUL in the body": {"request": {"body": "a\0b"}},
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_ambiguous_input_is_rejected(probes: Probes, change: Object) -> None:
    with pytest.raises(Refused) as raised:
        probes.create("refused", {**echoing(contains="x"), **change})
    assert raised.value.status == 422
