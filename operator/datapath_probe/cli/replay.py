"""`datapath-probe replay`: diagnoses a saved run again. Needs neither a cluster nor a Kubernetes client.

In: a bundle. Out: heading and status for the report. Called by `main`.
"""

from importlib.resources import files

from ..addresses import with_port
from ..api.status.probe_status import ProbeStatus
from ..diagnose.engine import diagnose
from ..diagnose.run.bundle import Bundle, NotABundleError
from ..publish.report.report import Heading
from ..publish.status.status import findings
from ..runs.run_result import RunResult
from .terminal import Failure, note


def example_bundle() -> bytes:
    """A recorded run from a pod to a Service whose backend is on another node."""
    return files(__package__).joinpath("example/cross-node-service.json").read_bytes()


def replayed(document: bytes) -> tuple[Heading, ProbeStatus]:
    """Diagnose the bundle; the status has only what a single run shows. Raises Failure."""
    try:
        bundle = Bundle.from_json(document)
    except NotABundleError as error:
        raise Failure(str(error)) from error
    for text in bundle.notes:
        note(f"note: {text}")
    run = bundle.run
    request = run.plan.request
    asked, path = ("connect to", "") if request.connects_only else (request.method, request.path)
    line = f"{asked} {request.protocol}://{with_port(request.host, request.port)}{path}"
    started = run.request.started
    result = RunResult(started, started, (diagnose(run),), (bundle,))
    return Heading(run.plan.probe, line), findings(result)
