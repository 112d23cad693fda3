"""Netfilter: the rules of iptables and nf_tables, and which of them matches a packet.

In: answers of `iptables-save` and netlink. Out: typed records. Called by `diagnose.netstack`.
"""
