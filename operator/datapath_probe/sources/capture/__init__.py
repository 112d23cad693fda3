"""Packet capture: the filter, the sniffer, the pcap file. Facts in, typed records out."""
