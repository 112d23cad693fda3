"""Converts addresses in plans of earlier bundles to the current format. Pure; called by `bundle`.

Earlier, a missing address was an empty text, and the ClusterIP of a headless Service was "None".
"""

from typing import Any

Document = dict[str, Any]


def upgraded_addresses(plan: Document | None) -> Document | None:
    """The plan with null for missing addresses. A reason for having no plan stays as it is."""
    if plan is None or "reason" in plan:
        return plan
    nameserver = plan.get("nameserver")
    return {
        **plan,
        "source": _pod(plan["source"]),
        "target": _target(plan["target"]),
        "nameserver": _target(nameserver) if nameserver else None,
    }


def _target(target: Document) -> Document:
    """A target, or a name server."""
    return {name: _part(name, part) for name, part in target.items()}


def _part(name: str, part: Any) -> Any:
    match name:
        case "frontend":
            return {**part, "service": _service(part["service"])}
        case "service":
            return _service(part)
        case "backend":
            return _backend(part)
        case "backends" | "unready":
            return [_backend(each) for each in part]
    return part


def _service(service: Document) -> Document:
    ip = service["cluster_ip"]
    return {"headless": ip == "None", **service, "cluster_ip": None if ip in ("", "None") else ip}


def _backend(backend: Document) -> Document:
    target = backend["target"]
    if not target:
        return backend
    if "pod_facts" in target:
        pod = target["pod_facts"]
        return {**backend, "target": {**target, "pod_facts": _pod(pod) if pod else None}}
    return {**backend, "target": _pod(target)}


def _pod(facts: Document) -> Document:
    endpoint = facts["endpoint"]
    return {**facts, "endpoint": {**endpoint, "node_ip": endpoint["node_ip"] or None} if endpoint else None}
