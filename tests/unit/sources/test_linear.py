"""No output of a program costs a parser more than linear time, whatever it contains. Every parser of `sources` is
found by its signature, so that none is forgotten.
"""

import base64
import gc
import inspect
import json
import os
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module

import pytest

from datapath_probe import sources
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.kube.exec import failure
from datapath_probe.kube.exec.agents import LARGE_REPLY_LIMIT, REPLY_LIMIT
from datapath_probe.kube.exec.framing import Batch, FramingError
from datapath_probe.kube.exec.protocol import ProtocolError, RemoteCommand
from datapath_probe.sources import parsing
from datapath_probe.sources.curl.report import only_report
from datapath_probe.tools import bpftool_batch
from datapath_probe.tools.command import Command
from unit.recorded import names, recorded
from unit.sources.golden import DATA, everything, printed
from unit.sources.test_flows import DROP, VERDICT
from unit.sources.worst_case import Make, kube_proxy, of_any_parser, of_output

Parse = Callable[[Reading], object]

SMALL, GROWTH = 16 * 1024, 4
# The limits of replies (kube/exec/agents.py); `make test-nightly` gives each parser that of packet filters.
SIZE = LARGE_REPLY_LIMIT if os.environ.get("NIGHTLY") else REPLY_LIMIT
# Linear is a factor of 4, quadratic one of 16. What takes less than this is not measured: it is mostly noise.
MOST, NOISE_S = 9.0, 0.004


def _parsers() -> Iterator[tuple[str, Parse]]:
    for found in pkgutil.walk_packages(sources.__path__, f"{sources.__name__}."):
        module = import_module(found.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("_") or function.__module__ != module.__name__ or module is parsing:
                continue
            given = list(inspect.signature(function).parameters.values())
            if given and given[0].annotation in (Answer, Reading):
                yield f"{found.name.removeprefix(f'{sources.__name__}.')}.{name}", function


PARSERS = dict(_parsers())
PROGRAM = json.loads((DATA / "programs/linux-6.18.json").read_text())["tc-drops-some"]
FILTER = {"kind": "gact", "control_action": {"type": "drop"}, "stats": {"packets": 3}}
# Output of which there is no recording among those of facts.
OTHERS = (
    b'/var/run/cilium/netns/cni-1\n[{"ifname":"e","addr_info":[{"local":"::1"}]}]\n' * 2,
    f"{VERDICT}\n{json.dumps(DROP)}\nCPU 01: Lost 3 events\n".encode(),
    b"LISTEN 0 5 0.0.0.0:81 0.0.0.0:*\nESTAB 0 0 [::ffff:10.0.0.1]:81 [::ffff:10.0.0.2]:4711\n",
    json.dumps([{"dev": "eth0", "kind": "netem", "drops": 1, "options": {"delay": {"delay": 1.0}}}]).encode(),
    json.dumps([{"disasm": text} for text in PROGRAM]).encode(),
    json.dumps([{"pref": 7, "kind": "matchall", "options": {"actions": [FILTER]}}]).encode(),
    (DATA / "captures/cilium-1.18.5/vxlan-node2.pcap").read_bytes(),
)


# Output that almost is what a parser looks for.
ALMOST = {
    "flows.monitor.parse": VERDICT[: VERDICT.index(", 10.0.")].encode(),
    "bpf.bpf_returns.parse": json.dumps([{"disasm": text} for text in ("(55) if x", "(95) exit")]).encode(),
}


@cache
def _outputs() -> tuple[Answer, ...]:
    """Recorded answers, some of each kind of fact, the shortest first."""
    answers = [recording.answer for _, recording in everything()]
    by_kind: dict[FactKind, dict[bytes, Answer]] = {}
    for name in names():
        for fact, readings in recorded(name).evidence:
            known = by_kind.setdefault(fact.kind, {})
            known |= {r.stdout: r for r in readings if isinstance(r, Answer) and len(known) < 5}
    answers += [answer for known in by_kind.values() for answer in known.values()]
    nft = json.loads((DATA / "nftables/linux-6.18.json").read_text())
    answers += [printed(base64.b64decode(one["output"])) for one in nft.values()]
    answers += [printed(output) for output in OTHERS]
    return tuple(sorted(answers, key=lambda answer: len(answer.stdout)))


def samples(parse: Parse) -> list[Answer]:
    """Two recorded answers that the parser reads, if possible as records: the shortest, and an average one."""
    records = [(one, parse(one)) for one in _outputs()]
    read = [(one, record) for one, record in records if not isinstance(record, Unavailable)]
    assert read, "record an answer for this parser"
    best = [one for one, record in read if record] or [one for one, _ in read]
    return [best[0], best[len(best) // 2]]


def taken_s(call: Callable[[bytes], object], given: bytes) -> float:
    gc.disable()  # its time depends on all that other tests have left
    began = time.process_time()
    call(given)
    taken_s = time.process_time() - began
    gc.enable()
    return taken_s


def assert_linear(call: Callable[[bytes], object], what: str, make: Make, size: int) -> None:
    """Each time the input grows, the time grows no more than linearly."""
    before_s, now = taken_s(call, make(SMALL)), SMALL
    while now < size:
        now = min(size, GROWTH * now)
        given = make(now)
        after_s = taken_s(call, given)
        if after_s > MOST * max(before_s, NOISE_S):  # once more: the machine may be busy
            before_s = max(taken_s(call, make(now // GROWTH)), NOISE_S)
            after_s = taken_s(call, given)
            assert after_s < MOST * before_s, (
                f"{what}: {before_s:.3f} s, then {after_s:.3f} s for {now} bytes"
            )
        before_s = after_s


def assert_all_linear(call: Callable[[bytes], object], inputs: list[tuple[str, Make]], size: int) -> None:
    """The worst inputs are measured up to the full size."""
    for what, make in worst_of(call, inputs):
        assert_linear(call, what, make, size)


def worst_of(call: Callable[[bytes], object], inputs: list[tuple[str, Make]]) -> list[tuple[str, Make]]:
    """Those that take longest, and those that grow most. All are tried while they are small."""
    took_s, growth = [0.0] * len(inputs), [0.0] * len(inputs)
    for i, (_, make) in enumerate(inputs):
        before_s, took_s[i] = (taken_s(call, make(given)) for given in (SMALL // GROWTH, SMALL))
        growth[i] = took_s[i] / max(before_s, NOISE_S / GROWTH**2)
    places = range(len(inputs))
    chosen = {*sorted(places, key=took_s.__getitem__)[-2:], *sorted(places, key=growth.__getitem__)[-2:]}
    return [inputs[i] for i in chosen]


def of_output_alone(name: str) -> Callable[[bytes], object]:
    """The parser as a function of the output."""
    known = samples(PARSERS[name])[-1]
    return lambda given: PARSERS[name](replace(known, stdout=given))


def inputs_of(name: str) -> list[tuple[str, Make]]:
    """What may cost this parser more than other input."""
    outputs = [*(one.stdout for one in samples(PARSERS[name])), *([ALMOST[name]] if name in ALMOST else [])]
    return [*of_any_parser(), *(made for output in outputs for made in of_output(output))]


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_linear_time_whatever_it_is_given(name: str) -> None:
    parse = PARSERS[name]
    known = samples(parse)[-1]

    def of_errors(given: bytes) -> object:
        return parse(Answer(known.exit_code, known.stdout, given, 0.0, 0.0))

    assert_all_linear(of_output_alone(name), inputs_of(name), SIZE)
    assert_all_linear(of_errors, [*of_any_parser(), *of_output(known.stderr or b"x")], 64 * 1024)


def test_a_program_with_many_branches_and_constants_is_followed_in_linear_time() -> None:
    def branches(size: int) -> bytes:
        code = [t for n in range(size // 80) for t in ("(55) if r1 != 0x0 goto pc+1", f"(b7) r0 = {n}")]
        return json.dumps([{"disasm": text} for text in (*code, "(95) exit")]).encode()

    parse = PARSERS["bpf.bpf_returns.parse"]
    assert_linear(lambda given: parse(printed(given)), "branches", branches, SIZE)


def test_every_parser_is_found() -> None:
    assert {
        "netfilter.iptables.parse",
        "bpf.bpftool.parse_value",
        "curl.report.parse_report",
    } <= PARSERS.keys()
    assert len(PARSERS) > 40


COMMANDS = tuple(Command("n", ("bpftool", "-j", "prog", "show", "id", str(number))) for number in range(50))
BATCH = Batch(COMMANDS, LARGE_REPLY_LIMIT, shares=True, nonce="f" * 32)
REPLY = "{n}s 1.0\n{out}{n}o 0 2.0\n{n}e{n}rx{n}x 3.0\n".replace("{n}", BATCH.nonce)
SHARED = (
    b'[{"command":["prog","show","id","0"],"output":{}},{"command":["prog","show","id","1"],"output":{}}]\n'
)


def _decoded(reply: bytes) -> object:
    try:
        return BATCH.decode(reply[: BATCH.reply_limit])
    except FramingError:
        return None


def _fed(message: bytes) -> object:
    """A Status in pieces of one byte, as slow servers might send it."""
    command = RemoteCommand()
    try:
        return [command.feed(b"\3" + message[i : i + 1]) for i in range(len(message))]
    except ProtocolError:
        return None


OF_EXEC: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "reply of a shell": (_decoded, REPLY.replace("{out}", SHARED.decode()).encode()),
    "bpftool batch": (lambda given: bpftool_batch.results(COMMANDS, given, 0), SHARED),
    "Status": (_fed, b'{"status":"Failure","reason":"NonZeroExitCode","message":"x"}'),
    "message": (
        lambda given: failure.refused(500, given.decode(errors="replace")),
        b'exec: "curl": executable file not found in $PATH; container x is not valid for pods "y" not found',
    ),
    "report of curl": (only_report, b'{"http_code":200,"time_total":0.1}'),
}


@pytest.mark.parametrize("name", OF_EXEC)
def test_what_exec_returns_is_read_in_linear_time(name: str) -> None:
    call, known = OF_EXEC[name]
    assert_all_linear(call, [*of_any_parser(), *of_output(known)], SIZE)


def test_the_rules_of_thousands_of_services_are_parsed_in_linear_time() -> None:
    parse = PARSERS["netfilter.iptables.parse"]
    few_s, many_s = (
        min(taken_s(lambda given: parse(printed(given)), kube_proxy(services)) for _ in range(2))
        for services in (1_250, 5_000)
    )
    assert many_s < MOST * few_s
