"""What the request's 5-tuple left behind: conntrack entries, flow events, and how far its packets came."""
