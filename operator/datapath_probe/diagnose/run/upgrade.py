"""Converts bundles of format 1 to format 2. Called by `bundle` before anything else reads them.

Format 1 stored evidence by command. Facts that its versions did not collect are added here with the answers that those
versions assumed, so that checks need not handle old bundles.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from . import format_1
from .upgrade_plan import upgraded_plan

Saved = dict[str, Any]
"""A JSON object of the document."""

# Earlier names of reasons.
_RENAMED = {"PodGone": str(EvidenceError.POD_NOT_FOUND)}
_CONFIG_FOLDER = "/tmp/cilium/config-map"  # noqa: S108  # the agent's own
_GREP_ANSWERS = (0, 2)  # 2: some files do not exist
_ABSENT = "null"
_NOTHING = {"exitCode": 0, "stdout": "", "stderr": "", "at": 0.0, "duration": 0.0, "truncated": False}
_NO_ENDPOINT = {**_NOTHING, "exitCode": 1, "stderr": "[GET /endpoint/{id}][404] getEndpointIdNotFound\n"}


def upgraded(document: Saved) -> tuple[Saved, list[str]]:
    """The document in format 2, and a sentence for each answer that is omitted."""
    plan: Saved = upgraded_plan(document["plan"]) or {}
    facts, more, notes = _by_fact(document["evidence"])
    _complete_config(facts, more, plan["config"])
    for fact, readings in [*_services_of_any_protocol(facts), *_endpoints(plan, document), *_devices(facts)]:
        facts.setdefault(fact, readings)
    request = document["request"]
    return {
        "behind": None,
        "dns": None,
        **document,
        "format": 2,
        "plan": plan,
        "planAfter": upgraded_plan(document["planAfter"]),
        "request": {**request, "reading": _renamed(request["reading"]) if request["reading"] else None},
        "evidence": [entry_of(fact, [_renamed(one) for one in readings]) for fact, readings in facts.items()],
    }, notes


def entry_of(fact: Fact, readings: Sequence[Saved]) -> Saved:
    """A fact with its readings in format 2."""
    return {
        "kind": str(fact.kind),
        "node": fact.node,
        "parameters": dict(fact.parameters),
        "readings": list(readings),
    }


def _by_fact(
    evidence: Sequence[Saved],
) -> tuple[dict[Fact, list[Saved]], dict[Fact, list[Saved]], list[str]]:
    """Readings by fact; readings of the second part of agents' configuration; notes about unknown commands."""
    facts: dict[Fact, list[Saved]] = {}
    more: dict[Fact, list[Saved]] = {}
    notes: list[str] = []
    for entry in evidence:
        node, argv = entry["node"], entry["argv"]
        try:
            fact = format_1.fact_of(node, argv)
        except ValueError as error:
            fact, why = None, str(error)
        else:
            why = "unknown command"
        if fact is None:
            notes.append(f"an answer of {' '.join(argv)[:100]} on {node} is omitted: {why}")
        else:
            (more if format_1.is_more_config(argv) else facts)[fact] = entry["readings"]
    return facts, more, notes


def _complete_config(
    facts: dict[Fact, list[Saved]], more: Mapping[Fact, list[Saved]], config_map: Mapping[str, str]
) -> None:
    """Merge the two parts of an agent's configuration. Keys without an answer were assumed to be those of the
    ConfigMap.
    """
    assumed = "".join(
        f"{_CONFIG_FOLDER}/{key}:{config_map[key]}\n" for key in _MORE_KEYS if key in config_map
    )
    for fact in [fact for fact in facts if fact.kind is FactKind.AGENT_CONFIG]:
        last: str | None = None
        readings = []
        for reading, other in zip_longest(facts[fact], more.get(fact, ())[: len(facts[fact])]):
            if other is not None:
                last = _keys(other)
            keys, rest = _keys(reading), assumed if last is None else last
            readings.append({**reading, "stdout": keys + rest} if keys else reading)
        facts[fact] = readings


def _keys(reading: Saved) -> str | None:
    """Keys and values as one part of the configuration has them; None for what is no such answer."""
    if reading.get("exitCode") not in _GREP_ANSWERS or reading["truncated"]:
        return None
    lines = str(reading["stdout"]).splitlines()
    if any(not line.startswith(f"{_CONFIG_FOLDER}/") or ":" not in line for line in lines):
        return None
    return "".join(f"{line}\n" for line in lines)


_MORE_KEYS = (
    "cluster-id",
    "cni-chaining-mode",
    "enable-bpf-clock-probe",
    "enable-bpf-masquerade",
    "enable-host-legacy-routing",
    "enable-ipv4-masquerade",
    "enable-ipv6-masquerade",
    "enable-ztunnel",
    "ipv4-service-loopback-address",
    "underlay-protocol",
)

Filled = Iterator[tuple[Fact, list[Saved]]]


def _services_of_any_protocol(facts: Mapping[Fact, list[Saved]]) -> Filled:
    """A Service without an entry for its protocol was assumed to have no entry at all."""
    for fact, readings in facts.items():
        if fact.kind is FactKind.SERVICE_SLOT and fact.number("slot") == 0 and all(map(_is_absent, readings)):
            yield Fact.of(fact.kind, fact.node, **{**dict(fact.parameters), "protocol": 0}), readings


def _endpoints(plan: Saved, document: Saved) -> Filled:
    """A pod without a CiliumEndpoint was assumed to have no endpoint."""
    reads = 2 if document["secondLook"] else 1
    target = plan["target"]
    backends = target["backends"] if "backends" in target else [target["backend"]]
    for pod in (plan["source"], *(backend["target"] for backend in backends)):
        for address in pod["pod"]["ips"][:1] if pod and "pod" in pod and not pod["endpoint"] else ():
            fact = Fact.of(FactKind.AGENT_ENDPOINT_BY_ADDRESS, pod["node"]["name"], address=address)
            yield fact, [_NO_ENDPOINT] * reads


def _devices(facts: Mapping[Fact, list[Saved]]) -> Filled:
    """A pod whose address is in no network namespace was assumed to have no namespace."""
    for fact in facts:
        if fact.kind is FactKind.NAMESPACE_ADDRESSES:
            yield Fact.of(FactKind.NAMESPACE_DEVICES, fact.node), [_NOTHING]


def _is_absent(reading: Saved) -> bool:
    return str(reading.get("stdout", "")).strip() == _ABSENT


def _renamed(reading: Saved) -> Saved:
    reason = reading.get("unavailable")
    return {**reading, "unavailable": _RENAMED.get(reason, reason)} if reason else reading
