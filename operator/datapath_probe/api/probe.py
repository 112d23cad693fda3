"""Object of the API server → `Probe` or `InvalidSpec`. Called by `control` and `cli` for every object they receive."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError

from .group import CAPTURE_ANNOTATION, RUN_NOW_ANNOTATION, SEVERITY_LABEL
from .spec.probe_spec import ProbeSpec
from .status.probe_status import RUN_NOW_CLIP, ProbeStatus
from .vocabulary import Severity


@dataclass(frozen=True, slots=True)
class ProbeMeta:
    """Identity and metadata of a probe. A re-created probe has another `uid`."""

    namespace: str
    name: str
    uid: str
    generation: int
    run_now: str | None  # value of the annotation, clipped as the status keeps it
    severity: Severity | None  # value of the label; None if there is none, or another one
    capture: str | None = None  # value of the annotation, clipped as the status keeps it
    created: str = ""  # time in UTC, as the API server writes it

    @classmethod
    def from_object(cls, metadata: Mapping[str, Any]) -> Self:
        """Metadata as the API server always fills it in."""
        annotations = metadata.get("annotations") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata["generation"],
            run_now=RUN_NOW_CLIP.cut(annotations.get(RUN_NOW_ANNOTATION)),
            capture=RUN_NOW_CLIP.cut(annotations.get(CAPTURE_ANNOTATION)),
            severity=_severity((metadata.get("labels") or {}).get(SEVERITY_LABEL)),
            created=metadata.get("creationTimestamp") or "",
        )


@dataclass(frozen=True, slots=True)
class InvalidSpec:
    """A probe that can't run: it was stored under an older or a newer schema."""

    meta: ProbeMeta
    status: ProbeStatus
    message: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe that can run. `status`: the last status that the operator wrote."""

    meta: ProbeMeta
    spec: ProbeSpec
    status: ProbeStatus

    @classmethod
    def from_object(cls, probe: Mapping[str, Any]) -> Self | InvalidSpec:
        """Read an object of the API server, with or without defaults. Never raises, whatever the spec contains."""
        meta = ProbeMeta.from_object(probe["metadata"])
        status = ProbeStatus.from_object(probe.get("status"))
        try:
            return cls(meta, ProbeSpec.model_validate(probe.get("spec")), status)
        except ValidationError as error:
            return InvalidSpec(meta, status, _in_words(error))


def _severity(label: object) -> Severity | None:
    """A closed list: each value is a series of metrics, and alerts are routed by it."""
    return next((severity for severity in Severity if severity == label), None)


def _in_words(error: ValidationError) -> str:
    """ "spec.schedule.interval: must be …; spec.source: Field required"."""
    return "; ".join(
        ".".join(("spec", *map(str, problem["loc"]))) + f": {problem['msg']}" for problem in error.errors()
    )
