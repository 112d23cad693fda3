"""Valid and invalid specs, for the operator and for the API server alike."""

from typing import Any

from unit.api.protocol_specs import CA, INVALID_PROTOCOLS, VALID_PROTOCOLS
from unit.api.spec_parts import POD, SERVICE, Refused, Spec, spec


def service_port(port: Any) -> Spec:
    return spec(destination={"service": {"name": "deathstar", "port": port}})


def pod_port(port: Any) -> Spec:
    return spec(destination={"pod": {"name": "deathstar-0", "port": port}})


def header(name: str, value: str) -> Spec:
    return spec(request={"headers": [{"name": name, "value": value}]})


def interval(duration: str) -> Spec:
    return spec(schedule={"interval": duration})


def cron(expression: str, time_zone: str | None = None) -> Spec:
    return spec(schedule={"cron": expression} | ({"timeZone": time_zone} if time_zone is not None else {}))


def expected_path(destination: Spec, **path: str) -> Spec:
    return spec(destination=destination, expect={"path": path})


FRONTEND = {"kind": "Deployment", "name": "frontend"}


def outside(host: str) -> Spec:
    """A destination outside the cluster."""
    return spec(destination={"address": {"host": host, "port": 443}})


def from_selector(*requirements: Spec, **labels: str) -> Spec:
    return spec(source={"selector": {"matchLabels": labels, "matchExpressions": list(requirements)}})


EVERYTHING: Spec = {
    "suspend": True,
    "schedule": {"interval": "1m30s"},
    "source": {"pod": "xwing", "container": "spaceship", "client": "Container"},
    "destination": {"pod": {"name": "deathstar-1", "namespace": "empire", "port": 8080}},
    "request": {
        "protocol": "HTTPS",
        "method": "POST",
        "path": "/v1/request-landing?ship=x%20wing&q={1,2}",
        "headers": [
            {"name": "X-Probe", "value": 'a "quoted" $(value)'},
            {"name": "Host", "value": "deathstar"},
        ],
        "body": "@/etc/passwd\n",
        "tls": {"caFrom": CA, "serverName": "deathstar", "insecureSkipVerify": False},
        "timeout": "2s500ms",
    },
    "expect": {
        "outcome": "Delivered",
        "status": [200, 202],
        "bodyContains": "Ship landed",
        "maxLatency": "250ms",
        "certificateExpiresAfter": "336h",
        "path": {"locality": "CrossNode", "encapsulation": "vxlan"},
    },
    "threshold": {"failures": 3, "successes": 2},
    "history": {"limit": 0},
}

VALID: dict[str, Spec] = {
    "the least, to a pod": spec(),
    "the least, to a Service": spec(destination={"service": SERVICE}),
    "everything": EVERYTHING,
    "a Service's port by name": service_port("http"),
    "a Service's port by a name that begins with a digit": service_port("8080-tcp"),
    "the highest port": pod_port(65535),
    "a pod whose name has dots": spec(source={"pod": "x-wing.red.5"}),
    "the shortest interval": interval("1s"),
    "the longest interval": interval("24h"),
    "an interval in milliseconds": interval("1500ms"),
    "an interval of several parts": interval("1h1m1s1ms"),
    "a name outside the cluster": outside("www.example.org"),
    "a name of digits and a top level": outside("1.2.3.4.in-addr.arpa"),
    "an IPv4 address outside the cluster": outside("203.0.113.10"),
    "an IPv6 address outside the cluster": outside("2001:db8::1"),
    "every minute": cron("* * * * *"),
    "a cron expression of lists, ranges and steps": cron("0,30-40/5,*/7 22-23,0-6 1,15 */2 1-5"),
    "a cron expression with names": cron("5 4 * jan,MAR-Oct Mon-fri"),
    "the last day, the last weekday, the last Friday": cron("0 0 L,LW 1-12 5L"),
    "the second Monday": cron("0  12 * * MON#2,3#5"),
    "a time zone": cron("30 2 * * *", "America/Argentina/Buenos_Aires"),
    "a time zone with digits": cron("30 2 29 2 *", "Etc/GMT+12"),
    "the shortest timeout": spec(request={"timeout": "100ms"}),
    "an empty request": spec(request={}),
    "a path that is all visible ASCII": spec(
        request={"path": "/" + "".join(map(chr, range(0x21, 0x7F))).replace("#", "")}
    ),
    "a query only": spec(request={"path": "/?"}),
    "the longest path": spec(request={"path": "/" + "a" * 2047}),
    "an empty header": header("X-Empty", ""),
    "a header with a tab and characters beyond ASCII": header("X-Odd", "a\tb ü 星"),
    "a header whose name is all token characters": header("!#$%&'*+-.^_`|~09azAZ", "-leading dash"),
    "as many headers as allowed": spec(
        request={"headers": [{"name": f"X-{n}", "value": "v" * 1024} for n in range(16)]}
    ),
    "the longest body": spec(request={"method": "PUT", "body": "星" * 1365}),
    "a body of several lines": spec(request={"method": "PUT", "body": "a\nb\r\n\t\x7f"}),
    "an empty body": spec(request={"method": "POST", "body": ""}),
    "HEAD": spec(request={"method": "HEAD"}),
    "HEAD with an empty body": spec(request={"method": "HEAD", "body": ""}),
    "encapsulation with a Service": expected_path({"service": SERVICE}, encapsulation="geneve"),
    "same node": expected_path({"pod": POD}, locality="SameNode"),
    "same node, not encapsulated": expected_path({"pod": POD}, locality="SameNode", encapsulation="none"),
    "from a workload": spec(source={"workload": FRONTEND, "select": "OnePerNode"}),
    "from all pods that a selector selects": spec(
        source={"selector": {"matchLabels": {"app": "frontend"}}, "select": "All", "container": "app"}
    ),
    "from every pod": spec(source={"selector": {}}),
    "a selector of every kind": from_selector(
        {"key": "app.kubernetes.io/name", "operator": "In", "values": ["a", "b"]},
        {"key": "tier", "operator": "NotIn", "values": [""]},
        {"key": "tier", "operator": "Exists"},
        {"key": "x", "operator": "DoesNotExist", "values": []},
        app="frontend",
    ),
    "to a workload": spec(
        destination={"workload": {"kind": "DaemonSet", "name": "a.b", "namespace": "x", "port": 1}}
    ),
    "to each backend": spec(destination={"service": SERVICE, "backends": "Each"}),
    "to any backend": spec(destination={"service": SERVICE, "backends": "Any"}),
    "the locality of each backend": expected_path(
        {"service": SERVICE, "backends": "Each"}, locality="CrossNode"
    ),
    "the locality of a workload's pods": expected_path(
        {"workload": {**FRONTEND, "port": 80}}, locality="SameNode"
    ),
    "an empty expectation": spec(expect={"path": {}}),
    **VALID_PROTOCOLS,
    "a denial": spec(expect={"outcome": "Denied"}),
    "a denial within the least time": spec(expect={"outcome": "Denied"}, request={"timeout": "2s"}),
}


_PORTS = "must be a port number from 1 to 65535, without quotes, or the name of one of the Service's ports"
_DURATION = "such as 30s, 1m30s or 250ms"
_PATH = "must start with '/'"
_VALUE = "must not contain line breaks"
_HEADER_NAME = "must be an HTTP token"
_FRAMING = "curl sets these headers itself"
_LABEL = "must be a name of lower-case letters"
_ONE_OF = "must specify exactly one of pod, service, workload and address"
_HOST = "must be a DNS name in lower case with at least one '.', or an IP address"
_ONE_SOURCE = "must specify exactly one of pod, workload and selector"
_WITH_VALUES = "In and NotIn require values; Exists and DoesNotExist allow none"
_LOCALITY = "set destination.backends to Each"
_ONE_SCHEDULE = "must specify exactly one of interval, such as 30s, and cron, such as '*/5 * * * *'"
_CRON = "must have the five fields minute, hour, day-of-month, month and day-of-week"
_ZONE = "must be a name of the IANA time zone database, such as Europe/Berlin or UTC"

INVALID: dict[str, Refused] = {
    "pod and service": Refused(spec(destination={"pod": POD, "service": SERVICE}), _ONE_OF),
    "neither pod nor service": Refused(spec(destination={}), _ONE_OF),
    "no destination": Refused({"source": {"pod": "xwing"}}, "spec.destination: Required value"),
    "no source": Refused({"destination": {"pod": POD}}, "spec.source: Required value"),
    "an empty source": Refused(spec(source={}), _ONE_SOURCE),
    "pod and workload as source": Refused(spec(source={"pod": "xwing", "workload": FRONTEND}), _ONE_SOURCE),
    "workload and selector as source": Refused(
        spec(source={"workload": FRONTEND, "selector": {}}), _ONE_SOURCE
    ),
    "a choice among one pod": Refused(
        spec(source={"pod": "xwing", "select": "One"}), "leave it out, or replace pod by one of them"
    ),
    "an unknown choice": Refused(
        spec(source={"workload": FRONTEND, "select": "Two"}), 'supported values: "One", "OnePerNode", "All"'
    ),
    "a workload of another kind": Refused(
        spec(source={"workload": {"kind": "CronJob", "name": "a"}}), 'supported values: "Deployment"'
    ),
    "a workload in upper case": Refused(
        spec(source={"workload": {"kind": "Job", "name": "A"}}), "must be the name of a workload"
    ),
    "In without values": Refused(from_selector({"key": "a", "operator": "In"}), _WITH_VALUES),
    "Exists with values": Refused(
        from_selector({"key": "a", "operator": "Exists", "values": ["b"]}), _WITH_VALUES
    ),
    "a requirement without a label": Refused(
        from_selector({"key": "", "operator": "Exists"}), "the name of a label must consist of"
    ),
    "a label with a line break": Refused(
        from_selector(**{"a\nb": ""}), "the name of a label must consist of"
    ),
    "a label value with a line break": Refused(
        from_selector(app="a\nb"), "the value of a label must consist of"
    ),
    "a label whose name is too long": Refused(
        from_selector(**{"a" * 318: "b"}), "the name of a label must consist of"
    ),
    "a label whose value is too long": Refused(from_selector(app="b" * 64), "may not be more than 63"),
    "too many labels": Refused(
        from_selector(**{f"a{n}": "" for n in range(17)}), "must have at most 16 items"
    ),
    "pod and address as destination": Refused(
        spec(destination={"pod": POD, "address": {"host": "a.b", "port": 80}}), _ONE_OF
    ),
    "a host of one part": Refused(outside("localhost"), _HOST),
    "a short form of an IPv4 address": Refused(outside("127.1"), _HOST),
    "a hexadecimal IPv4 address": Refused(outside("0x7f.0.0.1"), _HOST),
    "a hexadecimal last part": Refused(outside("a.0x1"), _HOST),
    "an IPv4 address with octal parts": Refused(outside("0177.0.0.1"), _HOST),
    "an IPv4 address beyond 255": Refused(outside("10.0.0.256"), _HOST),
    "a host in upper case": Refused(outside("Example.org"), _HOST),
    "a host with a port": Refused(outside("example.org:80"), _HOST),
    "a host with a user": Refused(outside("a@example.org"), _HOST),
    "a host that is an option": Refused(outside("-K.example.org"), _HOST),
    "a Service's name as a host": Refused(outside("cart.shop.svc"), "specify destination.service"),
    "a name of a Service in another domain": Refused(
        outside("cart.shop.svc.example.internal"), "specify destination.service"
    ),
    "a full name of a Service as a host": Refused(
        outside("cart.shop.svc.cluster.local"), "specify destination.service"
    ),
    "pod and workload as destination": Refused(
        spec(destination={"pod": POD, "workload": {**FRONTEND, "port": 80}}), _ONE_OF
    ),
    "a workload without a port": Refused(spec(destination={"workload": FRONTEND}), "port: Required value"),
    "each backend of a pod": Refused(
        spec(destination={"pod": POD, "backends": "Each"}), "leave it out, or specify service"
    ),
    "a source without a name": Refused(spec(source={"pod": ""}), "must be the name of a pod"),
    "a source that is an option": Refused(spec(source={"pod": "-v"}), "must be the name of a pod"),
    "a source in upper case": Refused(spec(source={"pod": "XWing"}), "must be the name of a pod"),
    "a container with a line break": Refused(spec(source={"pod": "xwing", "container": "a\n"}), _LABEL),
    "a client of a later version": Refused(
        spec(source={"pod": "xwing", "client": "Sidecar"}),
        'supported values: "Auto", "Container", "Node"',
    ),
    "an empty schedule": Refused(spec(schedule={}), _ONE_SCHEDULE),
    "interval and cron": Refused(spec(schedule={"interval": "60s", "cron": "* * * * *"}), _ONE_SCHEDULE),
    "a time zone of an interval": Refused(
        spec(schedule={"interval": "60s", "timeZone": "UTC"}), "remove it, or replace interval by cron"
    ),
    "a cron expression with seconds": Refused(cron("0 * * * * *"), _CRON),
    "a cron expression of four fields": Refused(cron("* * * *"), _CRON),
    "a cron macro": Refused(cron("@hourly"), _CRON),
    "a cron expression with a line break": Refused(cron("* * * * *\n"), _CRON),
    "minute 60": Refused(cron("60 * * * *"), _CRON),
    "hour 24": Refused(cron("0 24 * * *"), _CRON),
    "day 0": Refused(cron("0 0 0 * *"), _CRON),
    "month 13": Refused(cron("0 0 1 13 *"), _CRON),
    "weekday 8": Refused(cron("0 0 * * 8"), _CRON),
    "an unknown weekday": Refused(cron("0 0 * * DAY"), _CRON),
    "a step of zero": Refused(cron("*/0 * * * *"), _CRON),
    "a cron expression beyond ASCII": Refused(cron("0 0 * * ſUN"), _CRON),
    "a range that ends before it starts": Refused(cron("0 22-6 * * *"), "write 22-23,0-6 instead of 22-6"),
    "a week that ends on Sunday": Refused(cron("0 0 * * FRI-SUN"), "FRI,SAT,SUN instead of FRI-SUN"),
    "an unknown time zone": Refused(cron("0 0 * * *", "Europe/Berln"), _ZONE),
    "a time zone as an offset": Refused(cron("0 0 * * *", "+02:00"), _ZONE),
    "a time zone as a file": Refused(cron("0 0 * * *", "../etc/passwd"), _ZONE),
    "the local time zone": Refused(cron("0 0 * * *", "Local"), _ZONE),
    "a folder of time zones": Refused(cron("0 0 * * *", "Europe"), _ZONE),
    "no interval": Refused(interval("0s"), "must be a duration from 1s to 24h"),
    "an interval below a second": Refused(interval("999ms"), "must be a duration from 1s to 24h"),
    "an interval beyond a day": Refused(interval("25h"), "must be a duration from 1s to 24h"),
    "a negative interval": Refused(interval("-5s"), _DURATION),
    "an interval without unit": Refused(interval("60"), _DURATION),
    "an interval in days": Refused(interval("1d"), _DURATION),
    "an interval with a fraction": Refused(interval("1.5s"), _DURATION),
    "an interval with a line break": Refused(interval("60s\n"), _DURATION),
    "a huge interval": Refused(interval("99999h99999h"), "must be a duration from 1s to 24h"),
    "pod port 0": Refused(pod_port(0), "should be greater than or equal to 1"),
    "pod port 70000": Refused(pod_port(70000), "should be less than or equal to 65535"),
    "pod port by name": Refused(pod_port("http"), 'must be of type integer: "string"'),
    "no pod port": Refused(spec(destination={"pod": {"name": "deathstar-0"}}), "port: Required value"),
    "service port 0": Refused(service_port(0), _PORTS),
    "service port 70000": Refused(service_port(70000), _PORTS),
    "service port in quotes": Refused(service_port("80"), _PORTS),
    "service port without a name": Refused(service_port(""), _PORTS),
    "service port in upper case": Refused(service_port("HTTP"), _PORTS),
    "service port as a fraction": Refused(service_port(80.5), "must be of type integer,string"),
    "service port as a truth value": Refused(service_port(True), "must be of type integer,string"),
    "service name with a dot": Refused(spec(destination={"service": {"name": "a.b", "port": 80}}), _LABEL),
    "namespace with a slash": Refused(spec(destination={"pod": {**POD, "namespace": "a/b"}}), _LABEL),
    "namespace too long": Refused(
        spec(destination={"pod": {**POD, "namespace": "a" * 64}}), "may not be more than 63"
    ),
    "a protocol of a later version": Refused(
        spec(request={"protocol": "UDP"}), 'supported values: "HTTP", "HTTPS", "TCP"'
    ),
    **INVALID_PROTOCOLS,
    "a method in lower case": Refused(
        spec(request={"method": "get"}), 'supported values: "GET", "HEAD", "POST"'
    ),
    "a path without slash": Refused(spec(request={"path": "v1"}), _PATH),
    "an empty path": Refused(spec(request={"path": ""}), _PATH),
    "a path with a blank": Refused(spec(request={"path": "/a b"}), _PATH),
    "a path with a line break": Refused(spec(request={"path": "/a\nb"}), _PATH),
    "a path that ends in a line break": Refused(spec(request={"path": "/a\n"}), _PATH),
    "a path with a fragment": Refused(spec(request={"path": "/a#b"}), _PATH),
    "a path beyond ASCII": Refused(spec(request={"path": "/ü"}), _PATH),
    "a path too long": Refused(spec(request={"path": "/" + "a" * 2048}), "may not be more than 2048"),
    "a header without a name": Refused(header("", "v"), _HEADER_NAME),
    "a header's name with a colon": Refused(header("X-A:", "v"), _HEADER_NAME),
    "a header's name with a blank": Refused(header("X A", "v"), _HEADER_NAME),
    "a header's name that reads a file": Refused(header("@/etc/passwd", "v"), _HEADER_NAME),
    "a header's name with a line break": Refused(header("X-A\n", "v"), _HEADER_NAME),
    "a header's value with a line break": Refused(header("X-A", "v\nX-B: w"), _VALUE),
    "a header's value that ends in a line break": Refused(header("X-A", "v\n"), _VALUE),
    "a header's value with a carriage return": Refused(header("X-A", "v\rw"), _VALUE),
    "a header's value with NUL": Refused(header("X-A", "v\0w"), _VALUE),
    "a header's value with blanks at its ends": Refused(header("X-A", " v"), "or start or end with blanks"),
    "Content-Length": Refused(header("Content-LENGTH", "3"), _FRAMING),
    "Transfer-Encoding": Refused(header("transfer-encoding", "chunked"), _FRAMING),
    "too many headers": Refused(
        spec(request={"headers": [{"name": f"X-{n}", "value": ""} for n in range(17)]}),
        "must have at most 16 items",
    ),
    "a body too long in bytes": Refused(
        spec(request={"method": "PUT", "body": "星" * 1366}), "must be at most 4096 bytes"
    ),
    "a body too long in characters": Refused(
        spec(request={"method": "PUT", "body": "a" * 4097}), "may not be more than 4096"
    ),
    "a body with NUL": Refused(spec(request={"method": "PUT", "body": "a\n\0b"}), "must not contain NUL"),
    "a HEAD request with a body": Refused(
        spec(request={"method": "HEAD", "body": "a"}), "a HEAD request has no body"
    ),
    "a HEAD request whose body is expected": Refused(
        spec(request={"method": "HEAD"}, expect={"bodyContains": "a"}), "can't be met by a HEAD request"
    ),
    "a timeout too short": Refused(spec(request={"timeout": "99ms"}), "must be a duration from 100ms to 60s"),
    "a timeout too long": Refused(spec(request={"timeout": "61s"}), "must be a duration from 100ms to 60s"),
    "an outcome of a later version": Refused(
        spec(expect={"outcome": "Dropped"}), 'supported values: "Delivered", "Denied"'
    ),
    "the status of a denial": Refused(
        spec(expect={"outcome": "Denied", "status": [403]}),
        "leave out status, bodyContains, maxLatency, path and",
    ),
    "the latency of a denial": Refused(
        spec(expect={"outcome": "Denied", "maxLatency": "1s"}), "a request that is Denied has no response"
    ),
    "the body of a denial": Refused(
        spec(expect={"outcome": "Denied", "bodyContains": "no"}), "a request that is Denied has no response"
    ),
    "the path of a denial": Refused(
        spec(expect={"outcome": "Denied", "path": {"encapsulation": "vxlan"}}),
        "a request that is Denied has no response",
    ),
    "a denial that can't be witnessed in time": Refused(
        spec(expect={"outcome": "Denied"}, request={"timeout": "1999ms"}),
        "requires a request.timeout of 2s or more",
    ),
    "a status that is not final": Refused(
        spec(expect={"status": [100]}), "should be greater than or equal to 200"
    ),
    "a status too high": Refused(spec(expect={"status": [600]}), "should be less than or equal to 599"),
    "no status at all": Refused(spec(expect={"status": []}), "should have at least 1 items"),
    "an empty text to look for": Refused(
        spec(expect={"bodyContains": ""}), "should be at least 1 chars long"
    ),
    "no latency": Refused(spec(expect={"maxLatency": "0ms"}), "must be a duration from 1ms to 60s"),
    "locality of a Service's backends": Refused(
        expected_path({"service": SERVICE}, locality="SameNode"),
        _LOCALITY,
    ),
    "locality of any backend": Refused(
        expected_path({"service": SERVICE, "backends": "Any"}, locality="SameNode"), _LOCALITY
    ),
    "an unknown locality": Refused(
        expected_path({"pod": POD}, locality="Near"), 'supported values: "SameNode", "CrossNode"'
    ),
    "encapsulation on one node": Refused(
        expected_path({"pod": POD}, locality="SameNode", encapsulation="vxlan"), "are not encapsulated"
    ),
    "a threshold of none": Refused(spec(threshold={"failures": 0}), "should be greater than or equal to 1"),
    "a history too long": Refused(spec(history={"limit": 51}), "should be less than or equal to 50"),
    "a field of a later version": Refused(
        spec(schedule={"interval": "60s", "jitter": "5s"}), 'unknown field "spec.schedule.jitter"'
    ),
    "a misspelt field": Refused(spec(expect={"stauts": [200]}), 'unknown field "spec.expect.stauts"'),
}
