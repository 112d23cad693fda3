"""The request: curl's command line, and a config file for its stdin. Called by `runs.request`.

No part of a request becomes a shell word, an option or a file to read. URL, header values and body are never part of
argv, which audit logs and process lists show: they go through a config file on stdin. Certificates of CAs are public,
and are the only thing that stdin has no room for: see `_trusting`.
Source: curl 7.70–8.23 `src/tool_parsecfg.c` (quoting), `docs/cmdline-opts/max-filesize.md`.
"""

from dataclasses import dataclass

from ...addresses import IpAddress, IpFamily, parse_address, with_port
from .write_out import template

# What a server can make the source pod read. curl ends the transfer at the size if the response announces its length,
# and since 8.4 any transfer; before, the rate and the timeout limit a response of unknown length.
# Health endpoints answer with kilobytes; even the longest response takes no more than two seconds at the rate.
MAX_RESPONSE_BYTES = 8 * 1024 * 1024
MAX_RATE_BYTES_PER_S = 4 * 1024 * 1024
_LIMITS = ("--max-filesize", str(MAX_RESPONSE_BYTES), "--limit-rate", str(MAX_RATE_BYTES_PER_S))

_CONFIG_ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\n": "\\n", "\r": "\\r", "\v": "\\v"}


# To resume the upload of an empty stdin is an error, which curl notices after it has connected and before it sends a
# byte. `telnet://` connects, too, but then waits until the timeout.
_CONNECT_ONLY = ("--upload-file", "-", "--continue-at", "1")

# The program's own argv, as a file.
_ARGV = "/proc/self/cmdline"

_URL_SCHEMES = {"tcp": "http"}  # no byte of HTTP is sent


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server is authenticated. `trusted`: certificates of CAs as PEM; "" for those that the container trusts.
    `server_name`: the name to ask for and to verify, and the default of the header Host; "" for the host of the URL.
    """

    trusted: str = ""
    server_name: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class CurlRequest:
    """The request to send. `protocol`: http, https, or tcp to connect only.

    `path` contains visible ASCII without '#'; header names are tokens, values contain no NUL or line breaks; the body
    is UTF-8 without NUL. `keep_body`: return the response body. `family`: the version of IP to use, even if the
    name has addresses of another one; None: any. `show_addresses`: also report the addresses that curl tries, for
    names that resolve to addresses which nothing else knows.
    """

    protocol: str
    host: str
    port: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_s: float
    local_port: int
    keep_body: bool
    family: IpFamily | None = None
    show_addresses: bool = False
    tls: Tls = Tls()


def argv(request: CurlRequest) -> tuple[tuple[str, ...], bytes]:
    """The command, and the data for its stdin."""
    words = [
        "curl",
        "-q",  # must be first; otherwise ~/.curlrc is read
        "--silent",
        *_trusting(request.tls),
        "--noproxy",
        "*",
        "--globoff",
        "--path-as-is",
        "--proto",
        f"={_scheme(request)}",
        "--http1.1",
        "--local-port",
        str(request.local_port),
        "--max-time",
        f"{request.timeout_s:g}",  # before 7.87 curl expects the decimal separator of the locale: avoid it
        "--write-out",
        template(certificates=request.protocol == "https"),
    ]
    if request.show_addresses:
        words.append("--verbose")  # the report of a failed connection has no address
    if request.family is not None:
        words.append(f"--ipv{request.family.value}")
    if request.protocol == "tcp":
        words += _CONNECT_ONLY
    elif request.method == "HEAD":
        words.append("--head")
    else:
        words += ["--request", request.method]
    if not request.keep_body:
        words += ["--output", "/dev/null"]
    return (*words, *_LIMITS, "--config", "-"), _config(request)


def _trusting(tls: Tls) -> tuple[str, ...]:
    """Options for the certificates to trust. curl reads them from a file only, stdin is taken by the config file, and
    no file is written in a container. So they are a word of argv, which is a file, too: readers of PEM skip the rest of
    it. The word is a value of --noproxy, which the next --noproxy replaces.
    """
    if not tls.verify:
        return ("--insecure",)
    return ("--noproxy", f"\n{tls.trusted}", "--cacert", _ARGV) if tls.trusted else ()


def _scheme(request: CurlRequest) -> str:
    return _URL_SCHEMES.get(request.protocol, request.protocol)


def _url(request: CurlRequest) -> str:
    host = request.tls.server_name or _host(request)
    return f"{_scheme(request)}://{with_port(host, request.port)}{request.path}"


def _host(request: CurlRequest) -> IpAddress | str:
    return parse_address(request.host) or request.host


def _config(request: CurlRequest) -> bytes:
    """URL, headers and body as lines of a config file. `Name;` sends an empty value; `Name:` would remove the
    header.
    """
    lines = [f"url = {_quoted(_url(request))}"]
    if request.tls.server_name:
        place = f"{request.tls.server_name}:{request.port}:{with_port(_host(request), request.port)}"
        lines.append(f"connect-to = {_quoted(place)}")
    lines += [
        f"header = {_quoted(f'{name}: {value}' if value else f'{name};')}" for name, value in request.headers
    ]
    if request.body:
        # data-raw: a leading @ does not name a file
        lines.append(f"data-raw = {_quoted(request.body.decode())}")
    return "".join(f"{text}\n" for text in lines).encode()


def _quoted(text: str) -> str:
    return '"' + "".join(_CONFIG_ESCAPES.get(char, char) for char in text) + '"'
