"""Each rule exists as CEL in the CRD and as Python in the models: both must always agree."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes import client

from datapath_probe.api.probe import Probe
from datapath_probe.api.spec.durations import PATTERN
from integration.api.creating import create
from unit.api.spec_parts import POD, SERVICE, Spec, spec
from unit.api.specs import FRONTEND, cron, expected_path, from_selector, header, interval, service_port

TRICKY = st.sampled_from(
    [*"\0\t\n\r\x1f \x7f\x80/#.-:'\"\\@{}", "a", "Z", "0", "ü", "ſ", "K", "星", "\u2028", "😀"]
)
TEXT = st.lists(TRICKY, max_size=6).map("".join) | st.text(max_size=12)
# Days are left out: only the operator knows which dates exist.
CRON_FIELD = st.sampled_from(
    [
        "*",
        "1",
        "07",
        "7",
        "5-3",
        "1-5",
        "22-6",
        "*/2",
        "1/3",
        "2,4",
        "4,",
        "fri",
        "FRI-SUN",
        "MON-FRI",
        "DEC-JAN",
        "FRI#2",
        "5L",
    ]
) | TEXT.filter(lambda text: not set(text) & set(" \t\n\r\x1f\x85\u2028"))
ZONES = [
    "Europe/Berlin",
    "America/Indiana/Knox",
    "UTC",
    "Etc/GMT+12",
    "Australia/Lord_Howe",
    "Europe",
    "Local",
    "Mars/Olympus",
]
METADATA = {"namespace": "default", "name": "probe", "uid": "u", "generation": 1}

SPECS = {
    "source": TEXT.map(lambda text: spec(source={"pod": text})),
    "container": TEXT.map(lambda text: spec(source={"pod": "xwing", "container": text})),
    "path": TEXT.map(lambda text: spec(request={"path": f"/{text}"})),
    "header name": TEXT.map(lambda text: header(text, "")),
    "header value": TEXT.map(lambda text: header("X", text)),
    "body": TEXT.map(lambda text: spec(request={"method": "PUT", "body": text * 300})),
    "service port": (TEXT | st.integers(-1, 70000)).map(service_port),
    "interval": (TEXT | st.from_regex(PATTERN)).map(interval),
    "cron": st.lists(CRON_FIELD, min_size=4, max_size=6).map(lambda fields: cron(" ".join(fields))),
    "time zone": (TEXT | st.sampled_from(ZONES) | st.sampled_from(ZONES).map(str.lower)).map(
        lambda zone: cron("* * * * *", zone)
    ),
    "schedule": st.fixed_dictionaries(
        {},
        optional={
            "interval": st.sampled_from(["5s", "0s"]),
            "cron": st.sampled_from(["5 * * * *", "60 * * * *"]),
            "timeZone": st.sampled_from(["UTC", "Europe/Berln"]),
        },
    ).map(lambda schedule: spec(schedule=schedule)),
    "method": st.tuples(st.sampled_from(["HEAD", "GET", "head"]), TEXT).map(
        lambda pair: spec(request={"method": pair[0], "body": pair[1]})
    ),
    "workload": st.tuples(st.sampled_from(["Deployment", "Job", "CronJob"]), TEXT).map(
        lambda pair: spec(source={"workload": {"kind": pair[0], "name": pair[1]}})
    ),
    "sources": st.fixed_dictionaries(
        {},
        optional={
            "pod": st.just("xwing"),
            "workload": st.just(FRONTEND),
            "selector": st.just({}),
            "select": st.sampled_from(["One", "All", ""]),
        },
    ).map(lambda source: spec(source=source)),
    "destinations": st.fixed_dictionaries(
        {},
        optional={
            "pod": st.just(POD),
            "service": st.just(SERVICE),
            "workload": st.just({**FRONTEND, "port": 80}),
            "backends": st.sampled_from(["Any", "Each", ""]),
        },
    ).map(lambda destination: expected_path(destination, locality="SameNode")),
    "selector": st.tuples(
        st.dictionaries(TEXT, TEXT, max_size=2),
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "in"]),
        TEXT,
        st.lists(TEXT, max_size=2),
    ).map(
        lambda parts: from_selector({"key": parts[2], "operator": parts[1], "values": parts[3]}, **parts[0])
    ),
    "path expected": st.fixed_dictionaries(
        {},
        optional={
            "locality": st.sampled_from(["SameNode", "CrossNode"]),
            "encapsulation": st.sampled_from(["vxlan", "geneve", "none"]),
        },
    ).map(lambda path: expected_path({"pod": {"name": "a", "port": 1}}, **path)),
}


@pytest.mark.parametrize("values", SPECS.values(), ids=SPECS.keys())
def test_the_api_server_and_the_operator_agree(
    probes: client.CustomObjectsApi, values: st.SearchStrategy[Spec]
) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(values)
    def assert_agreement(value: Spec) -> None:
        operator_takes_it = isinstance(Probe.from_object({"metadata": METADATA, "spec": value}), Probe)
        assert operator_takes_it == api_server_accepts(probes, value)

    assert_agreement()


def api_server_accepts(probes: client.CustomObjectsApi, value: Spec) -> bool:
    try:
        create(probes, value)
    except client.ApiException as error:
        if error.status != 422:
            raise
        return False
    return True
