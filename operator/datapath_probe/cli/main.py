"""The commands and their options.

In: arguments and environment. Out: calls of one module per command. Called by the entry point `datapath-probe`.
"""

from pathlib import Path
from typing import BinaryIO

import click

from .. import __version__
from .in_cluster import node_agent, run
from .options import context_option, kubeconfig_option

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
@kubeconfig_option
@context_option
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
@kubeconfig_option
@context_option
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


main.add_command(run)
main.add_command(node_agent)
