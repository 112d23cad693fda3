"""Converts plans of earlier versions to the current format. Pure; called by `upgrade`.

Earlier plans had `frontend`, `headless`, `backends` and `unready` side by side, some of them null or empty. A backend
had its pod as `target`, even if that was in the host's network, and `node` for a host without a pod.
"""

from typing import Any

Document = dict[str, Any]


def upgraded_plan(plan: Document | None) -> Document | None:
    """The plan with its `target`. Plans that have one, and reasons for having no plan, stay as they are."""
    if plan is None or "target" in plan or "reason" in plan:
        return plan
    kept = {key: value for key, value in plan.items() if key not in _REPLACED}
    nameserver = plan.get("nameserver")
    if nameserver:
        nameserver = {**nameserver, "backends": _backends(nameserver["backends"])}
    return {**kept, "target": _target(plan), "nameserver": nameserver}


_REPLACED = ("destination", "frontend", "headless", "backends", "unready")


def _target(plan: Document) -> Document:
    display, backends = plan["destination"], _backends(plan["backends"])
    if plan.get("headless"):
        return {"display": display, "service": plan["headless"], "backends": backends}
    if plan.get("frontend"):
        unready = _backends(plan.get("unready", []))
        return {"display": display, "frontend": plan["frontend"], "backends": backends, "unready": unready}
    (backend,) = backends
    return {"display": display, "backend": backend}


def _backends(backends: list[Document]) -> list[Document]:
    return [{"ip": each["ip"], "port": each["port"], "target": _who(each)} for each in backends]


def _who(backend: Document) -> Document | None:
    facts, node = backend["target"], backend.get("node")
    if facts and facts["pod"]["host_network"]:
        return {"node": facts["node"], "pod_facts": facts}
    if facts:
        pod: Document = facts
        return pod
    return {"node": node, "pod_facts": None} if node else None
