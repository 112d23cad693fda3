"""Exercises 2 to 7 as a sequence of kubectl commands at the terminal.

A lower bound: the names of pods, agents and interfaces are known, no time is spent on reading or typing, no command is
repeated, and the packet dump of exercise 6 is left out. Called by `__main__`.
"""

from dataclasses import dataclass

AGENT = "cilium-agent"
Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The known names. `source_agent`, `destination_agent`: pods; `lxc`: interface on the node."""

    namespace: str
    source: str
    source_node: str
    source_agent: str
    source_lxc: str
    destination_ip: str
    destination_agent: str
    destination_lxc: str


def exercises(names: Names) -> list[Command]:
    """The arguments of kubectl, in the order in which they are typed."""

    def config(setting: str) -> Command:
        return (
            "get",
            "configmap",
            "cilium-config",
            "-n",
            "kube-system",
            "-o",
            f"jsonpath={{.data.{setting}}}",
        )

    def in_source(*words: str) -> Command:
        return ("exec", "-n", names.namespace, names.source, "--", *words)

    def on_source_node(*words: str) -> Command:
        return ("exec", "-n", "kube-system", names.source_agent, "-c", AGENT, "--", *words)

    def on_destination_node(*words: str) -> Command:
        return ("exec", "-n", "kube-system", names.destination_agent, "-c", AGENT, "--", *words)

    def request_landing(host: str) -> Command:
        return in_source("curl", "-s", "-X", "POST", f"http://{host}/v1/request-landing")

    return [
        # 2 IPAM
        ("get", "pods", "-n", names.namespace, "-o", "wide"),
        ("get", "ciliumendpoints", "-n", names.namespace),
        config("ipam"),
        ("get", "ciliumnode", names.source_node, "-o", "jsonpath={.spec.ipam.podCIDRs}"),
        # 3 veth pairs
        in_source("ip", "addr"),
        on_source_node("ip", "link", "show", names.source_lxc),
        on_destination_node("ip", "link", "show", names.destination_lxc),
        # 4 the program at the source's interface
        on_source_node("bpftool", "net", "show", "dev", names.source_lxc),
        # 5 pod to pod
        request_landing(names.destination_ip),
        on_source_node("cilium-dbg", "bpf", "ipcache", "list"),
        on_destination_node("cilium-dbg", "bpf", "endpoint", "list"),
        # 6 between nodes
        config("routing-mode"),
        config("tunnel-protocol"),
        on_source_node("bpftool", "net", "show", "dev", "cilium_vxlan"),
        on_destination_node("bpftool", "net", "show", "dev", "cilium_vxlan"),
        on_destination_node("cilium-dbg", "bpf", "ipcache", "list"),
        # 7 Service
        ("get", "service", "deathstar", "-n", names.namespace),
        request_landing("deathstar"),
        on_source_node("cilium-dbg", "bpf", "lb", "list"),
        on_source_node("cilium-dbg", "bpf", "ct", "list", "global"),
        on_destination_node("cilium-dbg", "bpf", "ct", "list", "global"),
    ]
