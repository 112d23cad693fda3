"""Recorded runs converted to another version of Cilium: the same facts with its map names and layouts.

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

_NAMES = ("map", "name")  # parameters with names of maps
_NAME = 15  # the kernel truncates names of maps
_NULL = b"null\n"
_THE_WORLD = bytes((2, *([0] * 11)))  # up to 1.17, there is no entry for a node's pod CIDR


@dataclass(frozen=True, slots=True)
class Version:
    """`number`: as the agent prints it. `names`: prefixes of map names that differ from 1.18. `protocols`: keys of
    services have a protocol.
    """

    number: str
    names: Mapping[str, str]
    ipcache: Callable[[bytes], bytes]
    policy: Callable[[bytes], bytes]
    protocols: bool = True

    @property
    def knows_pod_cidrs(self) -> bool:
        """Whether the ipcache has an entry for the pod CIDR of each other node."""
        return "cilium_ipcache_v2" not in self.names


def _short_ipcache(value: bytes) -> bytes:
    """The tunnel endpoint is IPv4, and the only flag is the one to skip it."""
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
        converted = tuple(_converted(run, fact, answer, version) for answer in answers)
        asked = _with(fact, **{n: _named(str(v), version) for n, v in fact.parameters if n in _NAMES})
        if not version.protocols and fact.kind is FactKind.SERVICE_SLOT:
            if fact.number("protocol") == L4Protocol.ANY:
                continue
            readings[asked] = tuple(map(_absent, converted))
            asked = _with(asked, protocol=L4Protocol.ANY)
        readings[asked] = converted
    return replace(run, evidence=Evidence(readings))


def _named(word: str, version: Version) -> str:
    for name, other in version.names.items():
        word = other[:_NAME] if word == name[:_NAME] else word.replace(name, other)
    return word


def _with(fact: Fact, **parameters: Value) -> Fact:
    return Fact.of(fact.kind, fact.node, **{**dict(fact.parameters), **parameters})


def _converted(run: PathRun, fact: Fact, reading: Reading, version: Version) -> Reading:
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
    """Whether the address has no entry of its own: the lookup is for a prefix, or a prefix has the same entry."""
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
