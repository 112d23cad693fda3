"""docs/verdict.md, generated from the rules and the failure model by `python -m
datapath_probe.publish.report.verdict_page`.
"""

from collections.abc import Callable, Iterable, Iterator

from ...api.reasons import Reason
from ...api.vocabulary import HopName
from ...diagnose.failure_model.effect import Effect
from ...diagnose.failure_model.stage import Stage
from ...diagnose.failure_model.table import MODEL
from ...diagnose.verdict.adjustments import ADJUSTMENTS
from ...diagnose.verdict.rules import RULES

HEAD = """\
# How a verdict is reached

Every hop has a finding: `Ok`, `Stale` (the datapath contradicts intent), `Broken` (this connection was observed to fail
there) or `Unknown` (evidence is missing). First the findings are adjusted, then the rules are tried in this order. The
first rule that answers decides; its name is in the log line of the run and in the evidence bundle.

<!-- Made from operator/datapath_probe/diagnose/verdict and failure_model by `make docs-verdict`; do not edit here. -->
"""
MODEL_HEAD = """\
## What a defect does to packets

A Stale hop explains a failure if its defect leaves the traces that were found: the *last trace* is the last stage at
which packets of this connection left one. Stages: {stages}.

| hop | defect | packets are | last trace | may also show as |
|---|---|---|---|---|"""
_POLICIES = {HopName.EGRESS_POLICY, HopName.INGRESS_POLICY}
_STAGES = {
    Stage.NOTHING: "no trace",
    Stage.TRANSLATED: "a backend was chosen (conntrack `SVC`)",
    Stage.SENT: "the source's program let them go (`OUT`)",
    Stage.RECEIVED: "the destination's program saw them (`IN`)",
    Stage.ANSWERED: "replies left the destination (`IN`)",
    Stage.REPLIED: "replies came back to the source's node (`OUT`)",
    Stage.CONNECTED: "curl had a connection",
    Stage.DELIVERED: "curl got a response",
}


def verdict_page() -> str:
    """The page as Markdown."""
    stages = ", ".join(f"*{stage.name.lower()}* ({meaning})" for stage, meaning in _STAGES.items())
    return "\n".join(
        [
            HEAD,
            *_listed("Adjustments", ADJUSTMENTS),
            *_listed("Rules", RULES),
            MODEL_HEAD.format(stages=stages),
            *_model(),
            "",
        ]
    )


def _listed(title: str, parts: Iterable[Callable[..., object]]) -> Iterator[str]:
    """A numbered list of functions with their docstrings."""
    yield f"## {title}\n"
    for number, part in enumerate(parts, start=1):
        text = " ".join((part.__doc__ or "").split())
        yield f"{number}. **{part.__name__}**: {text}"
    yield ""


def _model() -> Iterator[str]:
    for hop, effects in MODEL.items():
        for defect, effect in effects.items():
            yield f"| `{hop}` | {defect} | {_fate(effect)} | {_traces(effect)} | {_symptoms(effect)} |"


def _fate(effect: Effect) -> str:
    """What happens to the packets, and what may answer instead."""
    if not effect.answers:
        return str(effect.fate)
    answers = " or ".join(sorted(effect.answers))
    return f"{effect.fate}; {effect.responder} may answer ({answers})"


def _traces(effect: Effect) -> str:
    found = sorted(effect.predicts)
    names = [stage.name.lower() for stage in found]
    if len(found) == len(Stage):
        return "any"
    if len(found) > 2 and found[-1] - found[0] == len(found) - 1:
        return f"{names[0]} to {names[-1]}"
    return ", ".join(names)


def _symptoms(effect: Effect) -> str:
    unenforced = {Reason.POLICY_NOT_ENFORCED} if effect.judged_elsewhere & _POLICIES else set()
    return ", ".join(f"`{reason}`" for reason in sorted({*effect.symptoms, *unenforced}))


if __name__ == "__main__":
    print(verdict_page(), end="")
