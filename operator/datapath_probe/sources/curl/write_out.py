"""What curl is asked to print about a request, and where that is in its output. Called by `request` and `report`.

curl could print all that it knows as JSON, but that has the names in certificates and URLs, which may be of any length.
So it prints what is used: the numbers and addresses as JSON, in the last line, which is short, and texts before it.
Source: curl 7.70–8.23 `src/tool_writeout.c`.
"""

import json
import re
from typing import Final

from ...evidence.reading import LEFT_OUT
from .tls import expiry_line

_NUMBERS = (
    *("local_port", "remote_port", "ssl_verify_result"),
    *("time_namelookup", "time_connect", "time_appconnect", "time_starttransfer", "time_total"),
)
_TEXTS = ("http_code", "local_ip", "remote_ip")  # a code of 000 is no number in JSON
_ERROR, _CERTIFICATES, _TRIED = "errormsg", "certs", "tried"
_MEMBERS: Final = frozenset((*_NUMBERS, *_TEXTS, _ERROR, _TRIED))

_LAST_LINE = ",".join(
    (*(f'"{name}":"%{{{name}}}"' for name in _TEXTS), *(f'"{name}":%{{{name}}}' for name in _NUMBERS))
)
_ERROR_LINE = re.compile(rb"^errormsg:(?!curl: unknown )([^\n]*)$", re.MULTILINE)  # curl knows it since 7.75
_CODE = re.compile("[0-9]{3}")
_TRIES = re.compile(rb"^\* +Trying \[?([0-9a-fA-F.:]{2,45}?)\]?(?::[0-9]{1,5})?\.\.\.\r?$", re.MULTILINE)
_MOST_TRIED = 16
_COMPLAINT = re.compile(rb"(?<![^\n])curl: option --?[a-z-]{1,40}: [a-z ]{1,60}(?=\r?\n|\Z)")


def template(*, certificates: bool) -> str:
    """The value of --write-out. `certificates`: also print those of the server, which curl does since 7.88."""
    shown = f"%{{{_CERTIFICATES}}}" if certificates else ""
    return rf"%{{stderr}}{shown}\n{_ERROR}:%{{{_ERROR}}}\n{{{_LAST_LINE}}}\n"


def members(stderr: bytes) -> dict[str, object] | None:
    """The members of the report that are used; None if there is no report. Raises ValueError or RecursionError.

    Of the texts, only the error, the addresses that curl tried, and the expiry of the server's own certificate, which
    is the first one. The middle of long output is left out: what stands behind it may be of another one.
    """
    start, text = _report_of(stderr)
    if not text:
        return None
    try:
        report = json.loads(text)
    except ValueError:  # without the decoder's message, which may quote what a wrapper of curl has printed
        raise ValueError("what it printed is not a report") from None
    if not isinstance(report, dict):
        raise ValueError("what it printed is not a report")
    found = {name: value for name, value in report.items() if name in _MEMBERS}
    code, before = found.get("http_code"), stderr[:start]
    if isinstance(code, str) and _CODE.fullmatch(code):
        found["http_code"] = int(code)
    if errors := _ERROR_LINE.findall(before):
        found[_ERROR] = errors[-1].decode(errors="replace")
    if tried := [ip.decode() for ip in _TRIES.findall(stderr)[:_MOST_TRIED]]:
        found[_TRIED] = tried
    elif isinstance(listed := found.get(_TRIED), list):
        found[_TRIED] = listed[:_MOST_TRIED]
    certificates = report.get(_CERTIFICATES) or before.partition(LEFT_OUT)[0].decode(errors="replace")
    if expiry := expiry_line(certificates):
        found[_CERTIFICATES] = expiry
    return found


def complaint(stderr: bytes) -> bytes:
    """What curl says about an option that it does not know; options contain nothing of a request."""
    found = _COMPLAINT.search(stderr)
    return found[0] if found else b""


def _report_of(stderr: bytes) -> tuple[int, bytes]:
    """The line of the report, among warnings and what curl says about connections, and where it begins; b"" if there is
    none.
    """
    start = stderr.rfind(b"\n{") + 1 or stderr.find(b"{")
    if start < 0:
        return 0, b""
    end = stderr.rfind(b"}") + 1
    return start, stderr[start:end] if end > start else stderr[start:]
