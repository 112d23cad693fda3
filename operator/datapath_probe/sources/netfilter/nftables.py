"""The nf_tables rules of a node or a pod that `nft` or a firewall has made, and which of them would drop a packet.

The images of agents have no `nft`, so the kernel is queried over netlink (`nftables.pl`). Rules of iptables are left to
`iptables`. A rule with conditions on unknown properties of the packet (a set, a mark, …) may have dropped it; after a
rule that might accept it, only a rule that has counted packets certainly did. Called by `diagnose.netstack.netfilter`.
Source: Linux 6.x `include/uapi/linux/netfilter/nf_tables.h`, `net/netfilter/nf_tables_core.c`, `nft_{meta,cmp}.c`;
`net/netfilter/nfnetlink.c` (EINVAL for a subsystem that does not exist).
"""

from collections.abc import Mapping, Sequence

from ...addresses import IpFamily, family_of
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer, Unavailable
from ..packet import DROPS, REDIRECTS, Loss, Match, Packet, Routes, no_routes
from ..parsing import failed, parser
from .nft_match import Attributes, Conditions, Expression, attribute, matches
from .rule_walk import Action, Chain, Key, Rule, first_loss

_FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 10: "ip6"}
_NOT_FOR = {IpFamily.IPV4: "ip6", IpFamily.IPV6: "ip"}
_HOOKS = dict(enumerate(("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")))
_NETDEV_HOOKS = {0: "INGRESS", 1: "EGRESS"}  # of a device, before and after all others
_POLICY_DROP = 0  # NF_DROP
_HANDS_ON = "lets a program decide on"
_DOES = {  # by verdict, or by the name of an expression
    "NF_DROP": DROPS,
    "reject": DROPS,
    "NF_QUEUE": _HANDS_ON,
    "queue": _HANDS_ON,
    "tproxy": _HANDS_ON,
    "redir": REDIRECTS,
    "NFT_NAT_DNAT": REDIRECTS,
}
_ACTIONS = {"NFT_JUMP": Action.JUMP, "NFT_GOTO": Action.GOTO, "NFT_RETURN": Action.RETURN}
_GOES_ON = "NFT_CONTINUE"
# The script's errors for a kernel without nf_tables, and for one without netlink for netfilter.
_NO_NF_TABLES = (b"the kernel refuses: -22", b"no netlink socket: Protocol not supported")

Chains = Mapping[Key, Chain[Conditions]]


def fact(node: str, namespace: str | None = None) -> Fact:
    """All chains and rules of the node, or inside a pod; `namespace` as `netns.find` returns it."""
    return Fact.of(FactKind.NFTABLES_RULES, node, namespace=namespace)


@parser("nf_tables", exit_codes=range(256))
def parse(answer: Answer) -> Chains | Unavailable:
    """Chains with their rules, by family, table and name; none if the kernel has no nf_tables."""
    if answer.exit_code:
        return {} if answer.stderr.strip() in _NO_NF_TABLES else failed(answer, "nf_tables")
    if not answer.stdout:
        return {}
    from .nft_netlink import messages  # imports a large library: only if there is something to decode

    chains: dict[Key, Chain[Conditions]] = {}
    try:
        for message in messages(answer.stdout):
            if family := _FAMILIES.get(message.family):
                _add(chains, family, message.attributes, is_rule=message.is_rule)
    except KeyError as error:
        raise ValueError(f"a chain or a rule without attribute {error}") from None
    return chains


def loss(
    chains: Chains,
    hooks: Sequence[str],
    packet: Packet,
    *,
    translated: bool = False,
    routes: Routes = no_routes,
) -> Loss | Unavailable | None:
    """The first rule that drops this packet at these hooks: one that certainly matches it, else one that may.
    `translated`: rules that redirect the packet count too. `routes`: those of the host.
    """

    def match_rule(rule: Rule[Conditions]) -> Match:
        return matches(rule.conditions, packet, routes)

    other = _NOT_FOR[family_of(packet.destination)]
    own = {key: chain for key, chain in chains.items() if key[0] != other}
    return first_loss(own, hooks, packet, match_rule, translated=translated)


def _add(chains: dict[Key, Chain[Conditions]], family: str, attributes: Attributes, *, is_rule: bool) -> None:
    place = "NFTA_RULE_" if is_rule else "NFTA_CHAIN_"
    table = attribute(attributes, f"{place}TABLE", str)
    name = attribute(attributes, "NFTA_RULE_CHAIN" if is_rule else "NFTA_CHAIN_NAME", str)
    if not is_rule:
        chains[family, table, name] = _chain(family, table, name, attributes)
    elif (family, table, name) in chains:
        rule = _rule((family, table, name), attributes)
        chains[family, table, name].rules.extend([rule] if rule else [])


def _chain(family: str, table: str, name: str, attributes: Attributes) -> Chain[Conditions]:
    hook = attribute(attributes, "NFTA_CHAIN_HOOK", dict, {})
    number = attribute(hook, "NFTA_HOOK_HOOKNUM", int, -1)
    devices = [hook["NFTA_HOOK_DEV"]] if "NFTA_HOOK_DEV" in hook else hook.get("NFTA_HOOK_DEVS", [])
    drops = bool(hook) and attributes.get("NFTA_CHAIN_POLICY") == _POLICY_DROP
    return Chain(
        hook=(_NETDEV_HOOKS if family == "netdev" else _HOOKS).get(number, ""),
        devices=frozenset(devices),
        translates=attributes.get("NFTA_CHAIN_TYPE") == "nat",
        policy=Loss(f"{family} {table}", f"policy drop in chain {name}", None) if drops else None,
    )


def _rule(chain: Key, attributes: Attributes) -> Rule[Conditions] | None:
    """A rule from its expressions: conditions, counter, and verdict. None: packets continue, or it has counted none."""
    conditions: list[Expression] = []
    packets: int | None = None
    verdict, to = _GOES_ON, ""
    for expression in (Expression(*of) for of in attribute(attributes, "NFTA_RULE_EXPRESSIONS", list, [])):
        if expression.name == "counter":
            packets = attribute(expression.data, "NFTA_COUNTER_PACKETS", int)
        elif decided := _verdict(expression):
            verdict, to = decided
        else:
            conditions.append(expression)
    handle = attribute(attributes, "NFTA_RULE_HANDLE", int)
    if verdict == _GOES_ON or packets == 0:
        return None
    family, table, name = chain
    if does := _DOES.get(verdict):
        where = f"rule with handle {handle} in chain {name}"
        lost = Loss(f"{family} {table}", where, packets, does, certain=does != _HANDS_ON)
        return Rule(tuple(conditions), Action.LOSE, loss=lost, despite_doubt=packets is not None)
    return Rule(tuple(conditions), _ACTIONS.get(verdict, Action.ACCEPT), target=(family, table, to))


def _verdict(expression: Expression) -> tuple[str, str] | None:
    """(verdict, the chain that it jumps to), if this expression decides it."""
    data = expression.data
    match expression.name:
        case "immediate" if data.get("NFTA_IMMEDIATE_DREG") == "NFT_REG_VERDICT":
            verdict = attribute(attribute(data, "NFTA_IMMEDIATE_DATA", dict), "NFTA_DATA_VERDICT", dict)
            return str(verdict["NFTA_VERDICT_CODE"]), attribute(verdict, "NFTA_VERDICT_CHAIN", str, "")
        case "nat" if data.get("NFTA_NAT_TYPE") == "NFT_NAT_DNAT":
            return "NFT_NAT_DNAT", ""
        case name if name in _DOES:
            return name, ""
    return None
