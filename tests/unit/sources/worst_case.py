"""Input that costs a parser as much as possible, made from recorded output, in any size."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise
from typing import Any

Make = Callable[[int], bytes]
"""Makes the input with about this number of bytes."""

_RUN = re.compile(rb"[0-9]+|[A-Za-z]+|\s+|.", re.DOTALL)
_LAST_WORD = re.compile(rb"(.*[^0-9A-Za-z\n])[0-9A-Za-z]+\n")
_RUNS, _LINES, _LISTS = 24, 6, 6  # of a recorded output that are repeated


def of_any_parser() -> Iterator[tuple[str, Make]]:
    """One endless line, many short lines, and deep nesting."""
    for unit in (
        b"a",
        b"1",
        b"-1",
        b" ",
        b"\n",
        b'"',
        b"\\",
        b"[",
        b"{",
        b'{"a":',
        b'"a":1,',
        b"a b\n",
        b":a b\n",
    ):
        yield f"{unit!r} repeated", partial(_filled, b"", unit, b"")
    yield "a list of numbers", partial(_filled, b"[", b"1,", b"1]")
    yield "a list of objects", partial(_filled, b"[", b"{},", b"{}]")
    yield "a number", partial(_filled, b"[0.", b"1", b"]")
    yield "nested lists", partial(_filled, b"[[", b"[],", b"[]]]")


def of_output(printed: bytes) -> Iterator[tuple[str, Make]]:
    """Recorded output with one part repeated: a list, a line, a line without its end, a part of a line, or lines that
    differ in one word.
    """
    yield from _lists(printed)
    lines = list(dict.fromkeys(printed.splitlines(keepends=True)))
    for line in sorted(lines, key=len)[:_LINES]:
        yield f"lines {line[:40]!r}", partial(_filled, printed, line, b"")
        for part in (4, 3, 2, 1):
            if cut := line.rstrip(b"\n")[: len(line) * part // 4]:
                yield f"endless {cut[:40]!r}", partial(_filled, b"", cut, b"")
    for one, other in pairwise(printed.splitlines(keepends=True)[:_LINES]):
        if head := _LAST_WORD.match(one):
            yield f"numbered {one[:40]!r}", partial(_numbered, head[1], other)
    runs = list(_RUN.finditer(printed[:4096]))
    for run in runs[:: max(1, len(runs) // _RUNS)]:
        before, after = printed[: run.start()], printed[run.end() :]
        two = b"".join(found[0] for found in islice(_RUN.finditer(printed, run.start()), 2))
        for unit in (run[0][-1:], two):
            yield f"long {unit[:20]!r} at {run.start()}", partial(_filled, before, unit, after)
            yield f"endless {unit[:20]!r} at {run.start()}", partial(_filled, before, unit, b"")


def _filled(before: bytes, unit: bytes, after: bytes, size: int) -> bytes:
    """One part, repeated up to this size."""
    return before + unit * (size // len(unit)) + after


def _numbered(head: bytes, rest: bytes, size: int) -> bytes:
    """Pairs of lines, of which the first ends with another number each time."""
    return b"".join(head + b"%d\n" % number + rest for number in range(size // (len(head + rest) + 8)))


def _lists(printed: bytes) -> Iterator[tuple[str, Make]]:
    try:
        document = json.loads(printed)
    except ValueError:
        return
    members = [(path, found) for path, found in _members(document, ()) if found]
    for path in [path for path, found in members if isinstance(found, list)][:_LISTS]:
        yield f"list at {path}", partial(_with_long_list, printed, path)
    for path in [path for path, found in members if isinstance(found, dict)][:_LISTS]:
        yield f"object at {path}", partial(_with_long_object, printed, path)


def _members(document: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, document
    keys = (
        document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    )
    for key in keys:
        yield from _members(document[key], (*path, key))


def _with_long_list(printed: bytes, path: tuple[Any, ...], size: int) -> bytes:
    found = document = json.loads(printed)
    for key in path:
        found = found[key]
    found *= max(1, size // len(json.dumps(found)))
    return json.dumps(document).encode()


def _with_long_object(printed: bytes, path: tuple[Any, ...], size: int) -> bytes:
    found = document = json.loads(printed)
    for key in path:
        found = found[key]
    value = next(iter(found.values()))
    found |= {f"k{number}": value for number in range(size // (len(json.dumps(value)) + 12))}
    return json.dumps(document).encode()


def kube_proxy(services: int) -> bytes:
    """What `iptables-save -c` prints where kube-proxy serves so many Services, each with one endpoint."""
    chains, rules = (
        [":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":KUBE-SERVICES - [0:0]"],
        [
            f'[9:540] -A {hook} -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
            for hook in ("PREROUTING", "OUTPUT")
        ],
    )
    for number in range(services):
        name, ip, pod = f"{number:016X}", f"10.96.{number // 256}.{number % 256}", f"10.244.1.{number % 256}"
        comment = f'-m comment --comment "default/service-{number}:http'
        chains += [f":KUBE-SVC-{name} - [0:0]", f":KUBE-SEP-{name} - [0:0]"]
        rules += [
            f'[0:0] -A KUBE-SERVICES -d {ip}/32 -p tcp {comment} cluster IP" -m tcp --dport 80 -j KUBE-SVC-{name}',
            f'[0:0] -A KUBE-SVC-{name} ! -s 10.244.0.0/16 -d {ip}/32 -p tcp {comment} cluster IP" -j KUBE-MARK-MASQ',
            f'[0:0] -A KUBE-SVC-{name} {comment} -> {pod}:8080" -j KUBE-SEP-{name}',
            f'[0:0] -A KUBE-SEP-{name} -s {pod}/32 {comment}" -j KUBE-MARK-MASQ',
            f'[0:0] -A KUBE-SEP-{name} -p tcp {comment}" -m tcp -j DNAT --to-destination {pod}:8080',
        ]
    filters = [":INPUT ACCEPT [9:9]", ":KUBE-FIREWALL - [0:0]", "[9:9] -A INPUT -j KUBE-FIREWALL"]
    filters += ["[3:180] -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP"]
    tables = (("filter", filters), ("nat", [*chains, *rules]))
    return "".join(f"*{table}\n" + "\n".join(lines) + "\nCOMMIT\n" for table, lines in tables).encode()
