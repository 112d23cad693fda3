"""How operator and node agents know each other: certificates of one CA of the installation, each with one role.

`authority` issues, `files` reads what is mounted. Called by `kube.node_certificates`, by `client` and by `agent`.
"""
