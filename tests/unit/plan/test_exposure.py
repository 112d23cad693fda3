"""Services that labels, annotations or settings exclude from Cilium."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.plan.exposure import why_not_served
from datapath_probe.plan.label_selector import matches
from unit.cluster import DEATHSTAR, cluster
from unit.plan.planned import SERVICE, planned

TYPE, NODE, SELECTOR = (f"service.cilium.io/{name}" for name in ("type", "node", "node-selector"))
LABELS = {"service.cilium.io/node": "beefy", "zone": "east"}


def why(kind: str = "ClusterIP", proxy: str = "", **service: object) -> str:
    inventory = cluster()
    inventory.config["k8s-service-proxy-name"] = proxy
    inventory.labels["node2"] = LABELS
    return why_not_served(replace(DEATHSTAR, **service), kind, "node2", inventory)  # type: ignore[arg-type]


def test_a_plain_service_is_served() -> None:
    assert why() == ""


def test_a_service_for_another_proxy_is_not_served() -> None:
    assert why(proxy_name="other") == (
        "Cilium on node2 does not serve Service default/deathstar: its label service.kubernetes.io/service-proxy-name "
        "assigns it to the proxy 'other'"
    )


def test_cilium_may_be_that_proxy() -> None:
    assert why(proxy="cilium", proxy_name="cilium") == ""
    assert "it lacks the label service.kubernetes.io/service-proxy-name: cilium" in why(proxy="cilium")


def test_a_label_may_make_a_service_with_an_address_headless() -> None:
    assert "its label service.kubernetes.io/headless makes it headless" in why(marked_headless=True)


@pytest.mark.parametrize(
    ("kind", "only", "served"),
    [
        ("ClusterIP", "ClusterIP", True),
        ("ClusterIP", "LoadBalancer", False),
        ("NodePort", "ClusterIP", False),
        ("ClusterIP", "clusterip", True),  # not a type: Cilium ignores it
    ],
)
def test_an_annotation_may_restrict_the_type(kind: str, only: str, *, served: bool) -> None:
    assert (why(kind, exposure={TYPE: only}) == "") is served


@pytest.mark.parametrize(
    ("annotations", "served"),
    [
        ({NODE: "beefy"}, True),
        ({NODE: "small"}, False),
        ({SELECTOR: "zone in (east, west)"}, True),
        ({SELECTOR: "zone=west"}, False),
        ({SELECTOR: "zone=east", NODE: "small"}, True),
        ({SELECTOR: "zone ~ east"}, True),  # not valid: Cilium ignores it
    ],
)
def test_an_annotation_may_restrict_the_nodes(annotations: Mapping[str, str], *, served: bool) -> None:
    assert (why(exposure=annotations) == "") is served


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("", True),
        ("zone", True),
        ("!zone", False),
        ("zone == east, !gpu", True),
        ("zone!=east", False),
        ("gpu != yes", True),
        ("zone notin (west,north),zone", True),
        ("zone in (west)", False),
        ("gpu in (yes)", False),
        ("zone=", False),
        ("zone=east=west", None),
        ("=east", None),
    ],
)
def test_a_label_selector_selects(selector: str, *, selected: bool | None) -> None:
    assert matches(selector, LABELS) is selected


def test_the_plan_says_why_its_service_and_the_dns_are_not_served() -> None:
    inventory = cluster()
    inventory.services["default/deathstar"] = replace(DEATHSTAR, proxy_name="other")
    frontend = planned(SERVICE, inventory).frontend
    assert frontend is not None
    assert "assigns it to the proxy" in frontend.not_served
