"""Netfilter: what `iptables-save` and nf_tables say, and which rule meets a packet.

Facts in, typed records out.
"""
