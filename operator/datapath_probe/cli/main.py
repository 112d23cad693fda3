"""The commands and their options; what they do is in a module each."""

from pathlib import Path
from typing import BinaryIO

import click

from .. import __version__

_kubeconfig = click.option(
    "--kubeconfig", metavar="FILE", help="Default: the pod's ServiceAccount, else kubectl's."
)
_context = click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
_output = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Form of the report.",
)
_facts = click.option("--facts/--no-facts", default=True, help="Show the values that hops were judged by.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="datapath-probe")
def main() -> None:
    """Probe paths through Cilium and name the broken hop."""


@main.command()
@_kubeconfig
@_context
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    envvar="NAMESPACES",
    show_envvar=True,
    help="Run the probes of this namespace; repeatable. Default: of all.",
)
@click.option(
    "--cilium-namespace",
    default="kube-system",
    envvar="CILIUM_NAMESPACE",
    show_envvar=True,
    help="Where Cilium's agents are.",
)
@click.option(
    "--max-concurrent-runs",
    type=click.IntRange(1, 1000),
    default=16,
    envvar="MAX_CONCURRENT_RUNS",
    show_envvar=True,
    help="Runs at the same time, in all.",
)
@click.option(
    "--metrics-host",
    envvar="METRICS_HOST",
    show_envvar=True,
    help="Address to serve /metrics, /healthz and /readyz on. Default: every.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=8080,
    envvar="METRICS_PORT",
    show_envvar=True,
    help="Port to serve them on.",
)
@click.option(
    "--save-evidence",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SAVE_EVIDENCE",
    show_envvar=True,
    help="Save the evidence of runs in this folder.",
)
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING"]),
    default="INFO",
    envvar="LOG_LEVEL",
    show_envvar=True,
    help="Least level to log.",
)
@click.option("--windows", default="", envvar="TRANSITION_WINDOWS", hidden=True)
def run(
    kubeconfig: str | None,
    context: str | None,
    namespaces: tuple[str, ...],
    cilium_namespace: str,
    max_concurrent_runs: int,
    metrics_host: str | None,
    metrics_port: int,
    save_evidence: Path | None,
    log_level: str,
    windows: str,
) -> None:
    """Run the operator."""
    from ..control.app import Options
    from .run import run_operator
    from .windows import parsed

    options = Options(
        kubeconfig=kubeconfig,
        context=context,
        namespaces=namespaces,
        cilium_namespace=cilium_namespace,
        max_concurrent_runs=max_concurrent_runs,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
        save_evidence=save_evidence,
        windows=parsed(windows),
    )
    run_operator(options, log_level)


@main.command()
@click.argument("bundle", type=click.File("rb"), required=False)
@click.option("--example", is_flag=True, help="Replay a run that was recorded on the lab.")
@_output
@_facts
def replay(bundle: BinaryIO | None, example: bool, output: str, facts: bool) -> None:
    """Diagnose a saved run anew, without a cluster, and print the report. BUNDLE is a file, or - for stdin."""
    from .replay import example_bundle, replayed
    from .show import show

    if (bundle is None) is not example:
        raise click.UsageError("give either a BUNDLE or --example")
    document = bundle.read() if bundle else example_bundle()
    show(*replayed(document), output=output, facts=facts)


@main.command()
@click.argument("probe", metavar="NAMESPACE/NAME")
@_kubeconfig
@_context
@_output
@_facts
def report(probe: str, kubeconfig: str | None, context: str | None, output: str, facts: bool) -> None:
    """Print the report of a probe's last run, from its status."""
    from .report import last_run
    from .show import show

    namespace, name = _probe_name(probe)
    show(*last_run(namespace, name, kubeconfig, context), output=output, facts=facts)


@main.command()
@click.argument("probe", metavar="NAMESPACE/NAME")
@_kubeconfig
@_context
@click.option("--cilium-namespace", default="kube-system", help="Where Cilium's agents are.")
@click.option(
    "-w",
    "--write",
    type=click.Path(path_type=Path),
    metavar="PREFIX",
    help="Write PREFIX.<node>.pcap, one file a node: headers, without data.",
)
@_output
@_facts
def capture(
    probe: str,
    kubeconfig: str | None,
    context: str | None,
    cilium_namespace: str,
    write: Path | None,
    output: str,
    facts: bool,
) -> None:
    """Run a probe once from here and capture its packets on the nodes of source and destination."""
    from .capture import captured_run
    from .show import show

    namespace, name = _probe_name(probe)
    run = captured_run(namespace, name, kubeconfig, context, cilium_namespace, write)
    show(*run, output=output, facts=facts)


def _probe_name(probe: str) -> tuple[str, str]:
    namespace, slash, name = probe.partition("/")
    if not (namespace and slash and name):
        raise click.UsageError("name the probe as NAMESPACE/NAME")
    return namespace, name
