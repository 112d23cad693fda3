"""An evidence bundle: one run as a JSON document, from which `replay` draws the same verdict.

Free of secrets: of header values and the body of the request only the length is kept (whether they fit one packet
decides who can be blamed), and of the response's body only what the expectation asks for. Outputs are kept byte for
byte, written as Latin-1 so that they can be read by people.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from ..evidence.question import Question
from ..evidence.reading import Answer, Reading, Unavailable
from ..evidence.store import Evidence
from ..plan.movement import Movement
from ..plan.plan import CannotRun, Plan
from .run import Request, Run

FORMAT = 1

_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
_PLAN_AFTER: TypeAdapter[Plan | CannotRun | None] = TypeAdapter(Plan | CannotRun | None)
_MOVEMENT: TypeAdapter[Movement | None] = TypeAdapter(Movement | None)
_JSON: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class NotABundleError(ValueError):
    """The document is no evidence bundle, or one of a format that this version does not read."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A run that can be saved."""

    run: Run

    def to_json(self) -> bytes:
        """The document, UTF-8, without secrets."""
        run = _redacted(self.run)
        request = run.request
        document = {
            "format": FORMAT,
            "plan": _PLAN.dump_python(run.plan, mode="json"),
            "planAfter": _PLAN_AFTER.dump_python(run.plan_after, mode="json"),
            "secondLook": run.second_look,
            "viewAge": run.view_age_s,
            "behind": _MOVEMENT.dump_python(run.behind, mode="json"),
            "dns": _MOVEMENT.dump_python(run.dns, mode="json"),
            "request": {
                "started": request.started,
                "localPort": request.local_port,
                "reading": _from_reading(request.reading) if request.reading else None,
            },
            "evidence": [
                {
                    "node": question.node,
                    "argv": list(question.argv),
                    "readings": [_from_reading(reading) for reading in readings],
                }
                for question, readings in run.evidence
            ],
        }
        return _JSON.dump_json(document, indent=1)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read a saved document. Raises NotABundleError."""
        try:
            document = _JSON.validate_json(text)
            if document.get("format") != FORMAT:
                raise NotABundleError(f"format {document.get('format')!r}, this version reads {FORMAT}")
            request = document["request"]
            readings = {
                Question(entry["node"], tuple(entry["argv"])): tuple(map(_to_reading, entry["readings"]))
                for entry in document["evidence"]
            }
            return cls(
                Run(
                    plan=_PLAN.validate_python(document["plan"]),
                    request=Request(
                        started=float(request["started"]),
                        local_port=int(request["localPort"]),
                        reading=_to_reading(request["reading"]) if request["reading"] else None,
                    ),
                    evidence=Evidence(readings),
                    plan_after=_PLAN_AFTER.validate_python(document["planAfter"]),
                    second_look=bool(document["secondLook"]),
                    view_age_s=float(document["viewAge"]),
                    behind=_MOVEMENT.validate_python(document.get("behind")),
                    dns=_MOVEMENT.validate_python(document.get("dns")),
                )
            )
        except (ValidationError, KeyError, TypeError, AttributeError, UnicodeError) as error:
            raise NotABundleError(f"not an evidence bundle: {error}") from error


def _redacted(run: Run) -> Run:
    after = run.plan_after
    reading = run.request.reading
    if isinstance(reading, Answer):
        wanted = (run.plan.expect.body_contains or "").encode()
        reading = replace(reading, stdout=wanted if wanted in reading.stdout else b"")
    return replace(
        run,
        plan=_without_secrets(run.plan),
        plan_after=_without_secrets(after) if isinstance(after, Plan) else after,
        request=replace(run.request, reading=reading),
    )


def _without_secrets(plan: Plan) -> Plan:
    headers = tuple((name, _starred(value)) for name, value in plan.request.headers)
    return replace(plan, request=replace(plan.request, headers=headers, body=_starred(plan.request.body)))


def _starred(text: str) -> str:
    """As many octets that say nothing."""
    return "*" * len(text.encode())


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
    }


def _to_reading(saved: dict[str, Any]) -> Reading:
    if "unavailable" in saved:
        return Unavailable(saved["unavailable"], saved["message"], saved["at"])
    return Answer(
        exit_code=saved["exitCode"],
        stdout=saved["stdout"].encode("latin-1"),
        stderr=saved["stderr"].encode("latin-1"),
        at=saved["at"],
        duration_s=saved["duration"],
        truncated=saved["truncated"],
    )
