"""The commands that run in the cluster, the operator and the node agent, with their options. Added by `main`."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import click

from .network import NETWORK
from .options import context_option, kubeconfig_option, setting


@click.command()
@kubeconfig_option
@context_option
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    envvar="NAMESPACES",
    show_envvar=True,
    help="Run only the probes in this namespace; repeatable. Default: all namespaces.",
)
@setting(
    "--cilium-namespace",
    default="kube-system",
    help="Namespace of the Cilium agents.",
)
@setting(
    "--collector",
    type=click.Choice(["auto", "nodes", "exec"]),
    default="exec",
    help="Who tells facts about nodes and sends requests. exec: commands in the containers of Cilium's agents and of "
    "source pods. nodes: our node agents. auto: the node agent where one is ready, otherwise commands.",
)
@setting(
    "--node-agent-namespace",
    default="datapath-probe-nodes",
    help="Namespace of the node agents, and of the Secrets with their certificates.",
)
@setting(
    "--node-certificates",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory with tls.crt, tls.key and ca.crt, to present to node agents. Default: the operator is the CA.",
)
@setting(
    "--max-concurrent-runs",
    type=click.IntRange(1, 1000),
    default=16,
    help="Maximum number of concurrent runs, not counting those that wait.",
)
@setting(
    "--max-requests-in-flight",
    type=click.IntRange(1, 10_000),
    default=500,
    help="Maximum number of requests in flight.",
)
@setting(
    "--max-pairs",
    type=click.IntRange(1, 1000),
    default=64,
    help="Maximum number of pairs of source and destination in one run of a probe; more take turns.",
)
@setting(
    "--max-probes-per-namespace",
    type=click.IntRange(1),
    help="Run only this many probes of a namespace, the oldest. Default: all.",
)
@setting(
    "--max-requests-per-minute",
    type=click.IntRange(1, 100_000),
    help="Send only this many requests from the pods of a namespace in any minute; more of them wait. Default: any "
    "number.",
)
@setting(
    "--max-body-bytes",
    type=click.IntRange(0),
    help="Send no longer body in a request. Default: what a spec may have, 4096.",
)
@setting(
    "--metrics-host",
    help="Listen address for metrics and health. Default: all addresses.",
)
@setting(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=8080,
    help="Listen port for /metrics.",
)
@setting(
    "--health-port",
    type=click.IntRange(0, 65535),
    default=8081,
    help="Listen port for /healthz and /readyz.",
)
@setting(
    "--save-evidence",
    type=click.Path(file_okay=False, path_type=Path),
    help="Save evidence in this directory: of outages, path changes, and the newest runs.",
)
@setting(
    "--forbid-host-network",
    is_flag=True,
    help="Send no requests to pods in the host network, nodes, and addresses outside the cluster.",
)
@setting(
    "--forbid-names",
    is_flag=True,
    help="Send no requests to names outside the cluster, which may resolve to any address.",
)
@setting(
    "--allow-addresses",
    multiple=True,
    type=NETWORK,
    metavar="CIDR",
    help="Allow destination.address in this range, even of nodes, API servers, or link-local. Repeatable.",
)
@setting(
    "--deny-addresses",
    multiple=True,
    type=NETWORK,
    metavar="CIDR",
    help="Deny destinations in this range, except pods with their own network. Repeatable.",
)
@setting(
    "--forbid-unsafe-methods",
    is_flag=True,
    help="Send only GET and HEAD requests.",
)
@setting(
    "--forbid-other-users",
    is_flag=True,
    help="Send no requests from containers whose runAsUser differs from their pod's, such as the proxy of a mesh.",
)
@setting(
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
    collector: str,
    node_agent_namespace: str,
    node_certificates: Path | None,
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
    from ..kube.collection import Collection, Collector
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
        collection=Collection(Collector(collector), node_agent_namespace, node_certificates),
    )
    run_operator(options, log_level)


@click.command("node-agent")
@setting("--node-name", required=True, help="Name of the node that this agent runs on.")
@setting("--listen", default="0.0.0.0", help="Listen address.")  # noqa: S104  # only holders of a certificate are answered
@setting("--port", type=click.IntRange(1, 65535), default=4246, help="Listen port.")
@setting(
    "--certificates",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory with tls.crt, tls.key and ca.crt. Its files may be replaced at any time.",
)
@setting(
    "--allow-addresses",
    multiple=True,
    type=NETWORK,
    metavar="CIDR",
    help="Send requests also to addresses in this range, even link-local ones. Repeatable.",
)
@setting(
    "--deny-addresses",
    multiple=True,
    type=NETWORK,
    metavar="CIDR",
    help="Send no requests to addresses in this range. Repeatable.",
)
@setting(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING"]),
    default="INFO",
    help="Minimum log level.",
)
def node_agent(
    node_name: str,
    listen: str,
    port: int,
    certificates: Path,
    allow_addresses: tuple[IPv4Network | IPv6Network, ...],
    deny_addresses: tuple[IPv4Network | IPv6Network, ...],
    log_level: str,
) -> None:
    """Run the agent of a node, which tells the operator facts about it and sends requests from its pods."""
    from ..nodes.agent import launcher

    control = launcher.start()  # before any library starts a thread
    from ..nodes.agent.main import Settings
    from ..plan.outside import AddressRestrictions
    from .node_agent import run_node_agent

    restrictions = AddressRestrictions(allow_addresses, deny_addresses)
    run_node_agent(Settings(node_name, listen, port, certificates, restrictions), control, log_level)
