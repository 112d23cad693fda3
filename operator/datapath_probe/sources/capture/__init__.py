"""Packet capture: the fact, and the pcap file → typed records. Called by `runs`, `publish` and `cli`."""
