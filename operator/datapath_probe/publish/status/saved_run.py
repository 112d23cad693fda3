"""The names of files with saved evidence: which run, and of what kind. Pure.

Called by `failed_runs` for the status, and by `control.evidence_store`, which finds in the names what it needs to know
after a restart.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from ...api.status.past_runs import Outage
from ...api.status.probe_status import Counters
from ...api.vocabulary import ProbeVerdict, Trigger
from ...diagnose.finding.diagnosis import Diagnosis
from ...runs.run_result import RunRecord
from . import outages
from .capture import numbered

# Of the 255 bytes of a file's name, the start, the id and the kind of the run and the suffixes need up to 100.
STEM_LIMIT = 120
_DIGEST_LENGTH = 12
_KIND = re.compile(
    f"(?P<verdict>{'|'.join(verdict.lower() for verdict in ProbeVerdict)})"
    "(?P<changed>_changed)?(?P<requested>_requested)?(_(?P<streak>failing|outage)(?P<since>[0-9]+))?"
)


@dataclass(frozen=True, slots=True)
class RunKind:
    """Why the evidence of a run may be wanted later. `changed`: the path. `requested`: by a user, at once or with its
    packets. `failing_since`: start of the first failed run in a row or in the outage, in ms since the epoch.
    """

    verdict: ProbeVerdict = ProbeVerdict.UNKNOWN
    changed: bool = False
    requested: bool = False
    failing_since: int | None = None
    outage: bool = False

    def __str__(self) -> str:
        parts = [self.verdict.lower()]
        parts += ["changed"] if self.changed else []
        parts += ["requested"] if self.requested else []
        if self.failing_since is not None:
            parts.append(f"{'outage' if self.outage else 'failing'}{self.failing_since}")
        return "_".join(parts)

    @classmethod
    def parsed(cls, text: str) -> Self | None:
        """The kind that is written like this."""
        found = _KIND.fullmatch(text)
        return found and cls(
            ProbeVerdict(found["verdict"].capitalize()),
            bool(found["changed"]),
            bool(found["requested"]),
            int(found["since"]) if found["since"] else None,
            found["streak"] == "outage",
        )


def kind_of(
    verdict: ProbeVerdict, record: RunRecord, changed: bool, counters: Counters, after: Sequence[Outage]
) -> RunKind:
    """The kind of a run. `counters` and outages are those after it."""
    lasting = outages.current(after)
    since = lasting.start_time if lasting else counters.streak_start_time
    return RunKind(
        verdict,
        changed,
        record.captured or record.trigger is Trigger.RUN_NOW,
        epoch_ms(since) if since and counters.consecutive_failures else None,
        lasting is not None,
    )


def stem(namespace: str, name: str) -> str:
    """The beginning of the names of all files of a probe."""
    return short(f"{namespace}.{name}", STEM_LIMIT)


def run_name(stem: str, record: RunRecord) -> str:
    """The beginning of the names of all files of a run."""
    return f"{stem}.{epoch_ms(datetime.fromtimestamp(record.result.started, UTC))}.{record.id}"


def bundle_name(run: str, number: int, kind: RunKind) -> str:
    """The file of the n-th path of a run."""
    return f"{numbered(run, number)}.{kind}.json"


def worst_bundle(record: RunRecord) -> int:
    """The number of the path that decided the verdict."""
    worst = record.result.worst
    plans = [bundle.run.plan for bundle in record.result.bundles]
    return plans.index(worst.plan) + 1 if isinstance(worst, Diagnosis) and worst.plan in plans else 1


def epoch_ms(time: datetime) -> int:
    """Whole milliseconds, as the API writes times."""
    return int(time.replace(microsecond=0).timestamp()) * 1000 + time.microsecond // 1000


def short(name: str, limit: int) -> str:
    """The name, or its beginning and a digest: the name of a file has at most 255 bytes."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: limit - _DIGEST_LENGTH - 1]}_{digest}"
