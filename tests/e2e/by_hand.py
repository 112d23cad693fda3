"""The exercises by hand: the commands that print the same values as a probe's status.

In: pods and nodes. Out: the printed values. Independent of the product: its results are compared with these. Used by
`test_evidence` and the bench.
Source of the formats: cilium-dbg 1.18, bpftool 7.5, iproute2.
"""

import json
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from lab.cluster import Lab

_WORDS = re.compile(r"(\w+)=(\S*)")


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of a person at the terminal."""

    lab: Lab

    def identity_and_ip(self, namespace: str, pod: str) -> tuple[str, str]:
        """Exercise 2: kubectl get cep."""
        status = self._get("ciliumendpoint", pod, "-n", namespace)["status"]
        return str(status["identity"]["id"]), status["networking"]["addressing"][0]["ipv4"]

    def endpoint_id(self, namespace: str, pod: str) -> str:
        """Exercise 2: kubectl get cep."""
        return str(self._get("ciliumendpoint", pod, "-n", namespace)["status"]["id"])

    def pod_cidrs(self, node: str) -> str:
        """Exercise 2: kubectl get ciliumnode."""
        return ", ".join(self._get("ciliumnode", node)["spec"]["ipam"]["podCIDRs"])

    def node_ip(self, node: str) -> str:
        """Exercise 6: kubectl get ciliumnode."""
        addresses = self._get("ciliumnode", node)["spec"]["addresses"]
        return str(next(one["ip"] for one in addresses if one["type"] == "InternalIP"))

    def setting(self, name: str) -> str:
        """Exercises 2 and 6: kubectl get configmap cilium-config."""
        return str(self._get("configmap", "cilium-config", "-n", "kube-system")["data"][name])

    def pod_interface(self, namespace: str, pod: str) -> dict[str, Any]:
        """Exercise 3: ip link in the pod."""
        shown = self.lab.kubectl("exec", "-n", namespace, pod, "--", "ip", "-j", "link", "show", "eth0")
        return _only(shown)

    def node_interface(self, node: str, ifindex: int) -> dict[str, Any]:
        """Exercise 3: the other end of the veth pair, on the node."""
        links = json.loads(self.lab.run(node, "ip", "-j", "link").stdout)
        return next(link for link in links if link["ifindex"] == ifindex)

    def programs(self, node: str, device: str) -> list[dict[str, Any]]:
        """Exercises 4 and 6: bpftool net show."""
        shown = _only(self.lab.agent_exec(node, "bpftool", "-j", "net", "show", "dev", device))
        found: list[dict[str, Any]] = shown["tc"]
        return found

    def ipcache(self, node: str, ip: str) -> dict[str, str]:
        """Exercises 5 and 6: the node's ipcache entry of exactly this address."""
        return self._line(node, "ipcache", f"{ip}/{ip_address(ip).max_prefixlen}")

    def endpoint(self, node: str, ip: str) -> dict[str, str]:
        """Exercise 5: the node's endpoint map entry of this address."""
        return self._line(node, "endpoint", f"{ip}:0")

    def backends(self, node: str, frontend: str) -> str:
        """Exercise 7: the backends behind "ip:port", sorted."""
        shown = json.loads(self.lab.agent_exec(node, "cilium-dbg", "bpf", "lb", "list", "-o", "json"))
        slots = {key: lines[0] for key, lines in shown.items() if key.startswith(f"{frontend}/TCP (")}
        found = (line.partition("/")[0] for key, line in slots.items() if not key.endswith("(0)"))
        return ", ".join(sorted(found))

    def connections(self, node: str, *parts: str) -> list[dict[str, str]]:
        """Exercise 7: the node's conntrack entries whose line contains all these parts, as key-value pairs."""
        shown = self.lab.agent_exec(node, "cilium-dbg", "bpf", "ct", "list", "global")
        found = [line for line in shown.splitlines() if all(part in line for part in parts)]
        return [dict(_WORDS.findall(line)) for line in found]

    def _line(self, node: str, what: str, key: str) -> dict[str, str]:
        shown = json.loads(self.lab.agent_exec(node, "cilium-dbg", "bpf", what, "list", "-o", "json"))
        return dict(_WORDS.findall(shown[key][0]))

    def _get(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lab.kubectl("get", *words, "-o", "json"))
        return found


def _only(shown: str) -> dict[str, Any]:
    [found] = json.loads(shown)
    return dict(found)
