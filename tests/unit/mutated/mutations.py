"""Mutations of what agents, nodes and source containers print: of one answer, as bytes or as the JSON in it.

`mutated_run` mutates some facts of a recorded run, and maybe the report of curl.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from unit.recorded import names, recorded

NUMBERS = (
    *("0", "-1", "1", "255", "256", "65535", "65536", "70000", "4294967295", "4294967296"),
    *("9223372036854775807", "18446744073709551616", f"1{'0' * 30}", "9" * 5000, "1.5", "1e300", "1e999"),
    *("-0.0", "NaN", "Infinity", "-Infinity"),
)
TEXTS = (
    *(
        "",
        " ",
        "a" * 5000,
        "-h",
        "../../etc",
        "eth0/../lxc",
        "[/x]",
        "[bold]",
        "%s{}",
        "\n",
        "0",
        "null",
        "true",
    ),
    *(
        "\x00",
        "\x1b]0;x\x07",
        "\x9b31m",
        "\u202egnp",
        "\u2066x\u2069",
        "\u200b",
        "\ud800",
        "\ufeff",
        "é" * 300,
    ),
    *("::", "fe80::1%eth0", "300.1.1.1", "10.0.0.1/33", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:59"),
)
_MEMBER = re.compile(rb"([:\[,]\s*)-?[0-9]+(?:\.[0-9]+)?(?=\s*[,}\]])")
_NUMBER = re.compile(rb"-?[0-9]+(\.[0-9]+)?")
_OCTET = re.compile(rb"0x[0-9a-f]{2}\b")
_EXIT_CODES = (0, 1, 2, 22, 125, 126, 127, 254, 255)

MAX_EXAMPLES: int = settings().max_examples
"""That of the profile: `nightly` has more."""

Change = Callable[[Random, Answer], Answer]


def _numbers(random: Random, answer: Answer) -> Answer:
    """A number of the text becomes an extreme one."""
    found = list(_NUMBER.finditer(answer.stdout))
    if not found:
        return answer
    at = random.choice(found)
    extreme = random.choice(NUMBERS).encode()
    return replace(answer, stdout=answer.stdout[: at.start()] + extreme + answer.stdout[at.end() :])


def _every_number(random: Random, answer: Answer) -> Answer:
    """Every JSON number becomes the same extreme one."""
    extreme = random.choice(NUMBERS).encode()
    return replace(answer, stdout=_MEMBER.sub(lambda found: found[1] + extreme, answer.stdout))


def _octets(random: Random, answer: Answer) -> Answer:
    """Octets of a map's value differ: it is valid, and wrong."""
    found = list(_OCTET.finditer(answer.stdout))
    output = answer.stdout
    for at in random.sample(found, min(len(found), random.choice((1, 1, 4)))):
        output = output[: at.start()] + b"0x%02x" % random.randrange(256) + output[at.end() :]
    return replace(answer, stdout=output) if found else _numbers(random, answer)


def _cut(random: Random, answer: Answer) -> Answer:
    return replace(answer, stdout=answer.stdout[: random.randint(0, len(answer.stdout))])


def _flipped(random: Random, answer: Answer) -> Answer:
    output = bytearray(answer.stdout)
    for _ in range(random.randint(1, 4)):
        if output:
            output[random.randrange(len(output))] = random.randrange(256)
    return replace(answer, stdout=bytes(output))


def _lines(random: Random, answer: Answer) -> Answer:
    """A line is repeated, missing, or at another place."""
    lines = answer.stdout.splitlines(keepends=True)
    if not lines:
        return answer
    line = lines[random.randrange(len(lines))]
    match random.randrange(3):
        case 0:
            lines.remove(line)
        case 1:
            lines += [line] * random.choice((1, 300))
        case _:
            random.shuffle(lines)
    return replace(answer, stdout=b"".join(lines))


def _inserted(random: Random, answer: Answer) -> Answer:
    at = random.randint(0, len(answer.stdout))
    more = random.choice(TEXTS).encode(errors="surrogatepass")
    return replace(answer, stdout=answer.stdout[:at] + more + answer.stdout[at:])


def _exit_code(random: Random, answer: Answer) -> Answer:
    return replace(answer, exit_code=random.choice(_EXIT_CODES))


def _stderr(random: Random, answer: Answer) -> Answer:
    return replace(answer, stderr=random.choice(TEXTS).encode(errors="surrogatepass") + answer.stderr)


def _streams_swapped(random: Random, answer: Answer) -> Answer:
    return replace(answer, stdout=answer.stderr, stderr=answer.stdout)


def _truncated(random: Random, answer: Answer) -> Answer:
    return replace(answer, truncated=True)


def _at_another_time(random: Random, answer: Answer) -> Answer:
    """A node whose clock is wrong, or whose answer took long. `kube.exec.framing` bounds both."""
    return replace(
        answer,
        at=answer.at + random.choice((-1e9, -86_400.0, -1.0, 1.0, 86_400.0, 1e9)),
        duration_s=random.choice((0.0, 5.0, 60.0)),
    )


def _members(random: Random, answer: Answer) -> Answer:
    """One value of the JSON is missing, or has another value or type; each line may be a document."""
    lines = answer.stdout.splitlines()
    several = len(lines) > 1 and lines[0][:1] == b"{" and lines[0][-1:] == b"}"
    at = random.randrange(len(lines)) if several else 0
    try:
        document = json.loads(lines[at] if several else answer.stdout)
    except (ValueError, IndexError):
        return _numbers(random, answer)
    text = with_numbers(json.dumps(changed(random, document)).encode())
    return replace(answer, stdout=b"\n".join([*lines[:at], text, *lines[at + 1 :]]) if several else text)


def with_numbers(text: bytes) -> bytes:
    """JSON with numbers that `json.dumps` would not write."""
    for extreme in NUMBERS:
        text = text.replace(f'"number:{extreme}"'.encode(), extreme.encode())
    return text


def changed(random: Random, document: Any) -> Any:
    """The document with one value missing, renamed, repeated or replaced. `with_numbers` completes its text."""
    owner, key = _place(random, document)
    if owner is None:
        return _value(random)
    match random.randrange(4):
        case 0:
            del owner[key]
        case 1 if isinstance(owner, dict):
            owner[random.choice(TEXTS)] = owner.pop(key)
        case 1:
            owner += [owner[key]] * random.choice((1, 40))
        case _:
            owner[key] = _value(random)
    return document


def _place(random: Random, document: Any) -> tuple[Any, Any]:
    """A container in the document and a key of it. Members near the root are as likely as those of a large subtree."""
    owner, key = None, None
    while isinstance(document, dict | list) and document and (owner is None or random.random() < 0.8):
        owner, key = (
            document,
            random.choice(list(document if isinstance(document, dict) else range(len(document)))),
        )
        document = owner[key]
    return owner, key


def _value(random: Random) -> Any:
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: f"number:{random.choice(NUMBERS)}",
        lambda: random.choice(TEXTS),
        lambda: random.choice((None, True, False, [], {}, [None], [[]], {"": {}}, ["x", 1], {"id": []})),
    )
    return random.choice(kinds)()


CHANGES: tuple[Change, ...] = (
    *(
        _members,
        _members,
        _members,
        _members,
        _numbers,
        _numbers,
        _every_number,
        _every_number,
        _octets,
        _octets,
    ),
    *(_cut, _flipped, _lines, _inserted, _exit_code, _stderr, _streams_swapped, _truncated, _at_another_time),
)


@dataclass(frozen=True, slots=True)
class Mutated:
    """A recorded run with mutated evidence, and the facts whose readings differ."""

    name: str
    run: PathRun = field(repr=False)
    facts: frozenset[Fact] = field(repr=False)


def mutated_run(seed: int, name: str, *, of_client: bool = True) -> Mutated:
    """The recorded run with some of its answers mutated; `of_client`: maybe also that of curl."""
    random, run = Random(seed), recorded(name)
    facts = sorted(run.evidence.readings, key=str)
    chosen = random.sample(facts, min(len(facts), random.choice((1, 1, 2, 5, len(facts)))))
    readings = {**run.evidence.readings}
    for fact in chosen:
        readings[fact] = tuple(_reading(random, reading) for reading in readings[fact])
    differing = frozenset(fact for fact in chosen if readings[fact] != run.evidence.readings[fact])
    request = run.request
    if of_client and request.reading is not None and random.random() < 0.3:
        request = replace(request, reading=_client(random, request.reading))
    return Mutated(name, replace(run, evidence=Evidence(readings), request=request), differing)


def _reading(random: Random, reading: Reading) -> Reading:
    return random.choice(CHANGES)(random, reading) if isinstance(reading, Answer) else reading


def _client(random: Random, reading: Reading) -> Reading:
    """The report is on stderr, which containers may write to as they like."""
    if not isinstance(reading, Answer):
        return reading
    report = random.choice(CHANGES)(random, replace(reading, stdout=reading.stderr))
    return replace(report, stdout=reading.stdout, stderr=report.stdout)


# By seed: Hypothesis prints the seed and the name of a run that fails.
mutated_runs = st.builds(mutated_run, st.integers(0, 2**32 - 1), st.sampled_from(names()))
