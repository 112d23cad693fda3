"""Recorded runs as they would be with another version of Cilium: the same facts under its maps' names, in its layouts.

Source: the differences between Cilium 1.16–1.20 `bpf/lib/{common,eps,policy}.h`, as in `tests/data/cilium-*-derived`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.parameters import Value
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.byte_order import L4Protocol

_NAMES = ("map", "name")  # parameters that hold those of maps
_NAME = 15  # so much of a map's name does the kernel keep
_NULL = b"null\n"
_THE_WORLD = bytes((2, *([0] * 11)))  # up to 1.17 there is no row for a node's pod CIDR


@dataclass(frozen=True, slots=True)
class Version:
    """`number`: as the agent says it. `names`: beginnings of maps' names that differ from those of 1.18. `protocols`:
    keys of services have one.
    """

    number: str
    names: Mapping[str, str]
    ipcache: Callable[[bytes], bytes]
    policy: Callable[[bytes], bytes]
    protocols: bool = True

    @property
    def knows_pod_cidrs(self) -> bool:
        """Whether the ipcache has a row for the pod CIDR of each other node."""
        return "cilium_ipcache_v2" not in self.names


def _short_ipcache(value: bytes) -> bytes:
    """The tunnel endpoint is IPv4, and there is but the flag to skip it."""
    return value[:8] + value[20:23] + bytes((value[23] & 1,))


def _with_counters(value: bytes) -> bytes:
    return value + bytes(16)


def _with_precedence(value: bytes) -> bytes:
    return value[:4] + (b"\xff" * 4 if value[2] & 1 else bytes(4)) + bytes(4)


def _same(value: bytes) -> bytes:
    return value


_EARLIER = {"cilium_ipcache_v2": "cilium_ipcache"}
VERSIONS = {
    "1.16": Version(
        "1.16.19",
        {**_EARLIER, "cilium_policy_v2": "cilium_policy"},
        _short_ipcache,
        _with_counters,
        protocols=False,
    ),
    "1.17": Version("1.17.0", _EARLIER, _short_ipcache, _with_counters),
    "1.20": Version("1.20.2", {"cilium_policy_v2": "cilium_policy_v3"}, _same, _with_precedence),
}


def as_of(run: PathRun, version: Version) -> PathRun:
    """The run with agents of this version on all nodes."""
    readings: dict[Fact, tuple[Reading, ...]] = {}
    for fact, answers in run.evidence:
        told = tuple(_told(run, fact, answer, version) for answer in answers)
        asked = _with(fact, **{n: _named(str(v), version) for n, v in fact.parameters if n in _NAMES})
        if not version.protocols and fact.kind is FactKind.SERVICE_SLOT:
            if fact.number("protocol") == L4Protocol.ANY:
                continue
            readings[asked] = tuple(map(_absent, told))
            asked = _with(asked, protocol=L4Protocol.ANY)
        readings[asked] = told
    return replace(run, evidence=Evidence(readings))


def _named(word: str, version: Version) -> str:
    for name, other in version.names.items():
        word = other[:_NAME] if word == name[:_NAME] else word.replace(name, other)
    return word


def _with(fact: Fact, **parameters: Value) -> Fact:
    return Fact.of(fact.kind, fact.node, **{**dict(fact.parameters), **parameters})


def _told(run: PathRun, fact: Fact, reading: Reading, version: Version) -> Reading:
    if not isinstance(reading, Answer):
        return reading
    if fact.kind is FactKind.AGENT_VERSION:
        return replace(reading, stdout=reading.stdout.replace(b"1.18.5", version.number.encode()))
    if fact.kind is FactKind.IPCACHE_ENTRY:
        if not version.knows_pod_cidrs and _by_pod_cidr(run, fact, reading):
            return _laid_out(reading, lambda _: _THE_WORLD)
        return _laid_out(reading, version.ipcache)
    return _laid_out(reading, version.policy) if fact.kind is FactKind.POLICY_ENTRY else reading


def _by_pod_cidr(run: PathRun, fact: Fact, answer: Answer) -> bool:
    """Whether no record of the address itself was found: it was not asked for, or a shorter prefix says the same."""
    wider = _with(fact, prefix_length=31)
    return fact == wider or any(
        isinstance(other, Answer) and _value(other) == _value(answer) for other in run.evidence.all(wider)
    )


def _value(answer: Answer) -> object:
    return json.loads(answer.stdout)["value"] if answer.exit_code == 0 else None


def _laid_out(answer: Answer, layout: Callable[[bytes], bytes]) -> Answer:
    if answer.exit_code:
        return answer
    shown = json.loads(answer.stdout)
    value = bytes.fromhex("".join(byte.removeprefix("0x") for byte in shown["value"]))
    shown["value"] = [f"0x{byte:02x}" for byte in layout(value)]
    return replace(answer, stdout=json.dumps(shown).encode())


def _absent(reading: Reading) -> Reading:
    return replace(reading, exit_code=254, stdout=_NULL) if isinstance(reading, Answer) else reading
