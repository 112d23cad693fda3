"""`datapath-probe replay`: a saved run, diagnosed anew. Needs neither a cluster nor its libraries."""

from importlib.resources import files

import click

from ..api.status import ProbeStatus
from ..diagnose.engine import diagnose
from ..diagnose.run.bundle import Bundle, NotABundleError
from ..publish.report.report import Heading
from ..publish.status.status import findings
from ..runs.run_result import RunResult


def example_bundle() -> bytes:
    """A run from one node to a Service's pod on another, recorded on the lab."""
    return files(__package__).joinpath("example/cross-node-service.json").read_bytes()


def replayed(document: bytes) -> tuple[Heading, ProbeStatus]:
    """What the run found, as far as one run by itself can tell."""
    try:
        run = Bundle.from_json(document).run
    except NotABundleError as error:
        raise click.ClickException(" ".join(str(error).split())) from error
    request = run.plan.request
    line = f"{request.method} {request.protocol}://{request.host}:{request.port}{request.path}"
    started = run.request.started
    result = RunResult(started, started, (diagnose(run),), (Bundle(run),))
    return Heading(run.plan.probe, line), findings(result)
