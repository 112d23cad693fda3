"""Names that a policy with `toFQDNs` allows, and whose address the agent has not learned."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import ExpectedOutcome, HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.reading import Answer
from datapath_probe.plan.plan import AddressTarget
from unit.diagnose.test_policies import ENDPOINTS, SELECTORS, rewritten
from unit.recorded import recorded

HOST = "www.outside.test"
CIDR = (
    "LabelSelector{MatchLabels:map[string]string{cidr.198.51.100.0/24: ,},"
    "MatchExpressions:[]LabelSelectorRequirement{},}"
)


def requesting(host: str, selector: str) -> PathRun:
    """The run whose policy allows only another range, as if it requested this name and the policy allowed also this
    selector, which selects nothing.
    """
    run = recorded("outside-denied-by-cidr")
    answer, [backend] = run.request.reading, run.plan.backends
    assert isinstance(answer, Answer)
    target = AddressTarget(f"{host}:80", host, 80, ())
    plan = replace(run.plan, target=target, request=replace(run.plan.request, host=host))
    tried = answer.stderr.replace(b'{"errormsg"', b'{"tried": ["%s"], "errormsg"' % str(backend.ip).encode())
    request = replace(run.request, reading=replace(answer, stderr=tried))
    run = replace(run, plan=plan, plan_after=plan, request=request)
    run = rewritten(run, SELECTORS, b"&" + CIDR.encode(), f"{selector}\t[]\n&{CIDR}".encode())
    listed = r"{\"\\u0026" + CIDR + r"\":null}"
    return rewritten(run, ENDPOINTS, listed.encode(), (listed + r",{\"" + selector + r"\":null}").encode())


@pytest.mark.parametrize(
    "selector", [f"MatchName: {HOST}, MatchPattern: ", "MatchName: , MatchPattern: *.outside.test"]
)
def test_an_allowed_name_that_was_not_learned_has_its_own_reason(selector: str) -> None:
    diagnosis = diagnose(requesting(HOST, selector))
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.FQDN_NOT_LEARNED)
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (HopName.EGRESS_POLICY, "node3")
    assert (
        f"CiliumNetworkPolicy e2e/faults allows {HOST}, but the agent has not learned 203.0.113.10 for this name"
        in diagnosis.divergence.message
    )


@pytest.mark.parametrize(
    ("host", "selector"),
    [
        (HOST, "MatchName: other.test, MatchPattern: "),
        (HOST, "MatchName: , MatchPattern: *.test"),
        ("other.test", f"MatchName: {HOST}, MatchPattern: "),
    ],
)
def test_a_name_that_no_policy_allows_is_denied(host: str, selector: str) -> None:
    diagnosis = diagnose(requesting(host, selector))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.POLICY_DENIED)


def test_an_expected_denial_is_one_whatever_the_reason() -> None:
    run = requesting(HOST, f"MatchName: {HOST}, MatchPattern: ")
    expect = replace(run.plan.expect, outcome=ExpectedOutcome.DENIED)
    plan = replace(run.plan, expect=expect)
    [found] = [
        finding
        for finding in diagnose(replace(run, plan=plan, plan_after=plan)).findings
        if finding.hop is HopName.EGRESS_POLICY
    ]
    assert found.verdict is HopVerdict.OK
