"""Entries of Services as other versions and settings of Cilium make them."""

from dataclasses import replace

from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.diagnose.diagnose import diagnose
from datapath_probe.diagnose.run import Run
from datapath_probe.evidence.question import Question
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from unit.recorded import recorded

_PROTOCOL = 8  # octet of the key that holds it
ABSENT = Answer(254, b"null", b"", at=0.0, duration_s=0.0)


def with_entries_of_any_protocol(run: Run) -> Run:
    """The run as if its node had the Service under protocol ANY alone, as Cilium made it before 1.17."""
    readings: dict[Question, tuple[Reading, ...]] = {}
    for question, answers in run.evidence:
        readings[question] = answers
        if any(word.endswith("cilium_lb4_services_v2") for word in question.argv):
            argv = list(question.argv)
            at = argv.index("hex") + 1 + _PROTOCOL
            assert argv[at] == "06"
            argv[at] = "00"
            readings[replace(question, argv=tuple(argv))] = answers
            readings[question] = (ABSENT,) * len(answers)
    return replace(run, evidence=Evidence(readings))


def test_a_service_under_any_protocol_is_as_good_as_one_under_tcp() -> None:
    diagnosis = diagnose(with_entries_of_any_protocol(recorded("healthy-service-cross-node")))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY


def test_what_is_wrong_with_a_service_under_any_protocol_is_named_all_the_same() -> None:
    run = recorded("backend-slot-missing")
    assert diagnose(with_entries_of_any_protocol(run)).divergence == diagnose(run).divergence
