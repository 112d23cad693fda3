"""The commands and their options.

In: arguments and environment. Out: calls of one module per command. Called by the entry point `datapath-probe`.
"""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from .. import __version__
from .network import NETWORK

Command = TypeVar("Command", bound=Callable[..., Any])


def _setting(flag: str, **settings: Any) -> Callable[[Command], Command]:
    """An option of the operator, which an environment variable of the same name can set, too."""
    envvar = flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=envvar, show_envvar=True, **settings)


_kubeconfig = click.option(
    "--kubeconfig",
    metavar="FILE",
    help="Path to a kubeconfig. Default: the pod's ServiceAccount, else the file that kubectl uses.",
)
_context = click.option("--context", metavar="NAME", help="Context in the kubeconfig.")
_output = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Output format.",
)
_facts = click.option("--facts/--no-facts", default=True, help="Show the evidence values of each hop.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="datapath-probe")
def main() -> None:
    """Probe network paths through Cilium and name the broken hop."""


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
    help="Run only the probes in this namespace; repeatable. Default: all namespaces.",
)
@_setting(
    "--cilium-namespace",
    default="kube-system",
    help="Namespace of the Cilium agents.",
)
@_setting(
    "--max-concurrent-runs",
    type=click.IntRange(1, 1000),
    default=16,
    help="Maximum number of concurrent runs, not counting those that wait.",
)
@_setting(
    "--max-requests-in-flight",
    type=click.IntRange(1, 10_000),
    default=500,
    help="Maximum number of requests in flight.",
)
@_setting(
    "--max-pairs",
    type=click.IntRange(1, 1000),
    default=64,
    help="Maximum number of pairs of source and destination in one run of a probe; more take turns.",
)
@_setting(
    "--max-probes-per-namespace",
    type=click.IntRange(1),
    help="Run only this many probes of a namespace, the oldest. Default: all.",
)
@_setting(
    "--max-requests-per-minute",
    type=click.IntRange(1, 100_000),
    help="Send only this many requests from the pods of a namespace in any minute; more of them wait. Default: any "
    "number.",
)
@_setting(
    "--max-body-bytes",
    type=click.IntRange(0),
    help="Send no longer body in a request. Default: what a spec may have, 4096.",
)
@_setting(
    "--metrics-host",
    help="Listen address for metrics and health. Default: all addresses.",
)
@_setting(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=8080,
    help="Listen port for /metrics.",
)
@_setting(
    "--health-port",
    type=click.IntRange(0, 65535),
    default=8081,
    help="Listen port for /healthz and /readyz.",
)
@_setting(
    "--save-evidence",
    type=click.Path(file_okay=False, path_type=Path),
    help="Save evidence in this directory: of outages, path changes, and the newest runs.",
)
@_setting(
    "--forbid-host-network",
    is_flag=True,
    help="Send no requests to pods in the host network, nodes, and addresses outside the cluster.",
)
@_setting(
    "--forbid-names",
    is_flag=True,
    help="Send no requests to names outside the cluster, which may resolve to any address.",
)
@_setting(
    "--allow-addresses",
    multiple=True,
    type=NETWORK,
    metavar="CIDR",
    help="Allow destination.address in this range, even of nodes, API servers, or link-local. Repeatable.",
)
@_setting(
    "--deny-addresses",
    multiple=True,
    type=NETWORK,
    metavar="CIDR",
    help="Deny destinations in this range, except pods with their own network. Repeatable.",
)
@_setting(
    "--forbid-unsafe-methods",
    is_flag=True,
    help="Send only GET and HEAD requests.",
)
@_setting(
    "--forbid-other-users",
    is_flag=True,
    help="Send no requests from containers whose runAsUser differs from their pod's, such as the proxy of a mesh.",
)
@_setting(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING"]),
    default="INFO",
    help="Minimum log level.",
)
@click.option("--windows", default="", envvar="TRANSITION_WINDOWS", hidden=True)
def run(
    kubeconfig: str | None,
    context: str | None,
    namespaces: tuple[str, ...],
    cilium_namespace: str,
    max_concurrent_runs: int,
    max_requests_in_flight: int,
    max_pairs: int,
    max_probes_per_namespace: int | None,
    max_requests_per_minute: int | None,
    max_body_bytes: int | None,
    metrics_host: str | None,
    metrics_port: int,
    health_port: int,
    save_evidence: Path | None,
    forbid_host_network: bool,
    forbid_names: bool,
    allow_addresses: tuple[IPv4Network | IPv6Network, ...],
    deny_addresses: tuple[IPv4Network | IPv6Network, ...],
    forbid_unsafe_methods: bool,
    forbid_other_users: bool,
    log_level: str,
    windows: str,
) -> None:
    """Run the operator."""
    from ..control.app import Options
    from ..plan.outside import AddressRestrictions
    from ..plan.restrictions import Restrictions
    from .run import run_operator
    from .windows import parsed

    options = Options(
        kubeconfig=kubeconfig,
        context=context,
        namespaces=namespaces,
        cilium_namespace=cilium_namespace,
        max_concurrent_runs=max_concurrent_runs,
        max_requests_in_flight=max_requests_in_flight,
        max_pairs=max_pairs,
        max_probes_per_namespace=max_probes_per_namespace,
        max_requests_per_minute=max_requests_per_minute,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
        health_port=health_port,
        save_evidence=save_evidence,
        restrictions=Restrictions(
            host_network=forbid_host_network,
            names=forbid_names,
            unsafe_methods=forbid_unsafe_methods,
            other_users=forbid_other_users,
            body_bytes=max_body_bytes,
            addresses=AddressRestrictions(allow_addresses, deny_addresses),
        ),
        windows=parsed(windows),
    )
    run_operator(options, log_level)


@main.command()
@click.argument("bundle", type=click.File("rb"), required=False)
@click.option("--example", is_flag=True, help="Replay a recorded run that comes with the program.")
@click.option(
    "--expect",
    metavar="VERDICT/HOP/REASON",
    help="Exit with 1 on another answer. HOP is a hop, a hop@node, or a segment as after..before. Parts may be "
    "omitted, as in Healthy, Broken//LostInTransit or /service-lookup.",
)
@_output
@_facts
def replay(bundle: BinaryIO | None, example: bool, expect: str | None, output: str, facts: bool) -> None:
    """Diagnose a saved run again, without a cluster, and print the report. BUNDLE is a file, or - for stdin."""
    from .expected_answer import ExpectedAnswer
    from .replay import example_bundle, replayed
    from .show import show

    if (bundle is None) is not example:
        raise click.UsageError("specify either BUNDLE or --example")
    try:
        expected = ExpectedAnswer.parse(expect or "")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expect") from error
    document = bundle.read() if bundle else example_bundle()
    heading, status = replayed(document)
    show(heading, status, output=output, facts=facts)
    differences = expected.differences(status)
    if differences:
        raise click.ClickException(f"expected {expect}, but {', '.join(differences)}")


@main.command()
@click.argument("probe", metavar="NAMESPACE/NAME")
@_kubeconfig
@_context
@_output
@_facts
def report(probe: str, kubeconfig: str | None, context: str | None, output: str, facts: bool) -> None:
    """Print the report of a probe's last run, read from its status."""
    from .report import last_run
    from .show import show

    namespace, name = _probe_name(probe)
    show(*last_run(namespace, name, kubeconfig, context), output=output, facts=facts)


@main.command()
@click.argument("probe", metavar="NAMESPACE/NAME")
@_kubeconfig
@_context
@click.option("--cilium-namespace", default="kube-system", help="Namespace of the Cilium agents.")
@click.option(
    "-w",
    "--write",
    type=click.Path(path_type=Path),
    metavar="PREFIX",
    help="Write the packets to PREFIX.<node>.pcap, one file per node: headers without payload.",
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
    """Run a probe once from here and capture its packets on the source and destination nodes."""
    from .capture import captured_run
    from .show import show

    namespace, name = _probe_name(probe)
    run = captured_run(namespace, name, kubeconfig, context, cilium_namespace, write)
    show(*run, output=output, facts=facts)


def _probe_name(probe: str) -> tuple[str, str]:
    namespace, slash, name = probe.partition("/")
    if not (namespace and slash and name):
        raise click.UsageError("specify the probe as NAMESPACE/NAME")
    return namespace, name
