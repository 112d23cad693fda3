"""An evidence bundle: one run as a JSON document, from which `replay` derives the same verdict.

A bundle has no secrets. Header values, the body of the request and values in its query are replaced by text of the same
length, because the verdict depends on whether the request fits one packet. Of the response's body, only the text that
the expectation asks for is kept. Of curl's other output only its report is kept, without URLs, and of Hubble's events
nothing that a proxy saw of the request. Other outputs are kept byte for byte, except for the query, and written as
Latin-1 so that they stay readable.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from ...addresses import family_of
from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.parameters import fitting
from ...evidence.reading import Answer, Reading, Unavailable
from ...evidence.store import Evidence
from ...plan.endpoint_churn import EndpointChurn
from ...plan.other_backends import OtherBackend
from ...plan.plan import CannotRun, Plan
from ...sources.curl.report import only_report
from ...sources.parsing import line
from .redaction import starred, without_l7, without_values
from .run import PathRun, Request
from .upgrade import entry_of, upgraded
from .upgrade_addresses import upgraded_addresses
from .windows import DEFAULT, Windows

FORMAT = 2
_HUBBLE = frozenset({FactKind.FLOWS, FactKind.ICMP_FLOWS, FactKind.NEWEST_FLOW})
_MOST_S = 1e11  # until the year 5138

_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
_PLAN_AFTER: TypeAdapter[Plan | CannotRun | None] = TypeAdapter(Plan | CannotRun | None)
_CHURN: TypeAdapter[EndpointChurn | None] = TypeAdapter(EndpointChurn | None)
_OTHERS: TypeAdapter[tuple[OtherBackend, ...]] = TypeAdapter(tuple[OtherBackend, ...])
_JSON: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class NotABundleError(ValueError):
    """The document is not an evidence bundle, or its format is not supported."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A run that can be saved. `rule`: the rule that decided its verdict, for information only. `notes`: what was
    omitted from a saved document, as sentences.
    """

    run: PathRun
    rule: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """The document in UTF-8, without secrets."""
        run = _redacted(self.run)
        request = run.request
        document = {
            "format": FORMAT,
            "rule": self.rule,
            "plan": _PLAN.dump_python(run.plan, mode="json"),
            "planAfter": _PLAN_AFTER.dump_python(run.plan_after, mode="json"),
            "secondLook": run.second_look,
            "viewAge": run.view_age_s,
            "behind": _CHURN.dump_python(run.destination_churn, mode="json"),
            "dns": _CHURN.dump_python(run.dns_churn, mode="json"),
            "request": {
                "started": request.started,
                "localPort": request.local_port,
                "reading": _from_reading(request.reading) if request.reading else None,
            },
            "evidence": [
                entry_of(fact, [_from_reading(reading) for reading in readings])
                for fact, readings in run.evidence
            ],
        }
        if run.others:
            document["others"] = _OTHERS.dump_python(run.others, mode="json")
        if run.suspects:
            document["suspects"] = _OTHERS.dump_python(run.suspects, mode="json")
        if run.windows != DEFAULT:
            document["windows"] = asdict(run.windows)
        return _JSON.dump_json(document, indent=1)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read a saved document. Raises NotABundleError."""
        try:
            document, notes = _current(_JSON.validate_json(text))
            request = document["request"]
            return cls(
                PathRun(
                    plan=_to_plan(document["plan"]),
                    request=Request(
                        started=_number(request["started"]),
                        local_port=fitting(request["localPort"], 16),
                        reading=_to_reading(request["reading"]) if request["reading"] else None,
                    ),
                    evidence=_to_evidence(document["evidence"]),
                    plan_after=_PLAN_AFTER.validate_python(upgraded_addresses(document["planAfter"])),
                    second_look=bool(document["secondLook"]),
                    view_age_s=_number(document["viewAge"]),
                    others=_OTHERS.validate_python(document.get("others", ())),
                    suspects=_OTHERS.validate_python(document.get("suspects", ())),
                    destination_churn=_CHURN.validate_python(document["behind"]),
                    dns_churn=_CHURN.validate_python(document["dns"]),
                    windows=_windows(document.get("windows", {})),
                ),
                rule=str(document.get("rule", "")),
                notes=tuple(notes),
            )
        except NotABundleError:
            raise
        except ValidationError as error:
            raise NotABundleError(f"not an evidence bundle: {_in_words(error)}") from None
        except KeyError as error:
            raise NotABundleError(f"not an evidence bundle: {line(str(error))} is missing") from None
        except Exception as error:  # the document may contain anything anywhere
            raise NotABundleError(f"not an evidence bundle: {line(str(error))}") from None


def _current(document: dict[str, Any]) -> tuple[dict[str, Any], Sequence[str]]:
    """The document in the format of this version."""
    match document.get("format"):
        case 1:
            return upgraded(document)
        case 2:
            return document, ()
        case other:
            raise NotABundleError(f"format {line(repr(other))}, this version reads 1 to {FORMAT}")


def _in_words(error: ValidationError) -> str:
    """The first problem with its place, without the value, which may be a secret."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, problem["loc"])) or "document"
    return line(f"{place}: {problem['msg']}")


def _to_plan(saved: dict[str, Any]) -> Plan:
    """The plan. Raises ValueError if its addresses don't fit together."""
    plan = _PLAN.validate_python(upgraded_addresses(saved))
    if not plan.source.pod.ips:
        raise ValueError("the source has no address")
    targets = [backend.ip for backend in plan.backends] + ([plan.frontend.ip] if plan.frontend else [])
    if any(family_of(ip) is not plan.family for ip in targets):
        raise ValueError("source and destination have addresses of different IP versions")
    return plan


def _to_evidence(saved: Sequence[dict[str, Any]]) -> Evidence:
    readings: dict[Fact, tuple[Reading, ...]] = {}
    for entry in saved:
        fact = _to_fact(entry)
        if fact in readings:
            raise ValueError(f"{fact} occurs twice")
        readings[fact] = tuple(map(_to_reading, entry["readings"]))
    return Evidence(readings)


def _to_fact(entry: dict[str, Any]) -> Fact:
    parameters = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in entry["parameters"].items()
    }
    return Fact.of(FactKind(entry["kind"]), entry["node"], **parameters)


def _redacted(run: PathRun) -> PathRun:
    after, path = run.plan_after, run.plan.request.path
    reading = run.request.reading
    if isinstance(reading, Answer):
        wanted = (run.plan.expect.body_contains or "").encode()
        stderr = only_report(reading.stderr)
        reading = replace(reading, stdout=wanted if wanted in reading.stdout else b"", stderr=stderr)
    return replace(
        run,
        plan=_without_secrets(run.plan),
        plan_after=_without_secrets(after) if isinstance(after, Plan) else after,
        request=replace(run.request, reading=_without_query(reading, path) if reading else None),
        evidence=Evidence(
            {
                fact: tuple(_without_query(_without_events_of_l7(fact, answer), path) for answer in readings)
                for fact, readings in run.evidence
            }
        ),
    )


def _without_secrets(plan: Plan) -> Plan:
    request = plan.request
    headers = tuple((name, starred(value)) for name, value in request.headers)
    return replace(
        plan,
        request=replace(
            request, headers=headers, body=starred(request.body), path=without_values(request.path)
        ),
    )


def _without_events_of_l7(fact: Fact, reading: Reading) -> Reading:
    if isinstance(reading, Unavailable) or fact.kind not in _HUBBLE:
        return reading
    return replace(reading, stdout=without_l7(reading.stdout))


def _without_query(reading: Reading, path: str) -> Reading:
    """The output without the values in the request's query, both as plain text and as escaped in JSON."""
    if isinstance(reading, Unavailable) or "?" not in path:
        return reading
    stdout, stderr = reading.stdout, reading.stderr
    for escape in (str, _in_json, _in_json_of_go):
        shown, hidden = escape(path).encode(), escape(without_values(path)).encode()
        stdout, stderr = stdout.replace(shown, hidden), stderr.replace(shown, hidden)
    return replace(reading, stdout=stdout, stderr=stderr)


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_json_of_go(text: str) -> str:
    """Source: Go `encoding/json`, which also escapes HTML characters."""
    return _in_json(text).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _windows(saved: dict[str, object]) -> Windows:
    """The saved windows, with defaults for the others. Raises TypeError for an unknown window."""
    return Windows(**{name: _number(seconds) for name, seconds in saved.items()})


def _number(saved: object) -> float:
    """A number of seconds. Raises ValueError unless it is finite and in a calendar."""
    number = saved if isinstance(saved, int | float) else math.nan
    if not -_MOST_S <= number <= _MOST_S:
        raise ValueError("a time is not a number of seconds")
    return float(number)


def _from_reading(reading: Reading) -> dict[str, Any]:
    if isinstance(reading, Unavailable):
        return {"unavailable": str(reading.reason), "message": reading.message, "at": reading.at}
    return {
        "exitCode": reading.exit_code,
        "stdout": reading.stdout.decode("latin-1"),
        "stderr": reading.stderr.decode("latin-1"),
        "at": reading.at,
        "duration": reading.duration_s,
        "truncated": reading.truncated,
        "source": reading.source,
    }


def _to_reading(saved: dict[str, Any]) -> Reading:
    if "unavailable" in saved:
        reason = EvidenceError(saved["unavailable"])
        return Unavailable(reason, str(saved["message"]), _number(saved["at"]))
    return Answer(
        exit_code=fitting(saved["exitCode"], 16),
        stdout=saved["stdout"].encode("latin-1"),
        stderr=saved["stderr"].encode("latin-1"),
        at=_number(saved["at"]),
        duration_s=_number(saved["duration"]),
        truncated=bool(saved["truncated"]),
        source=str(saved.get("source", "")),
    )
