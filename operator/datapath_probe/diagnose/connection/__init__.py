"""The traces of the request's 5-tuple: conntrack entries, flow events, and how far its packets got."""
