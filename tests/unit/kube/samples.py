"""API objects of a cluster with Cilium 1.18, reduced to the relevant fields. Used by the tests of `kube`."""

from typing import Any

Json = dict[str, Any]

POD: Json = {
    "metadata": {
        "namespace": "default",
        "name": "xwing",
        "uid": "a1",
        "labels": {"org": "alliance"},
        "annotations": {"kubectl.kubernetes.io/default-container": "spaceship"},
    },
    "spec": {
        "nodeName": "node2",
        "initContainers": [
            {"name": "setup", "ports": [{"name": "early", "containerPort": 1}]},
            {
                "name": "proxy",
                "restartPolicy": "Always",
                "ports": [{"name": "metrics", "containerPort": 9090}],
            },
        ],
        "containers": [
            {"name": "spaceship", "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 81}]},
            {"name": "droid"},
        ],
    },
    "status": {
        "phase": "Running",
        "podIP": "fd00::1:7d",
        "podIPs": [{"ip": "fd00:0::1:7d"}, {"ip": "10.244.1.125"}],
        "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}],
        "initContainerStatuses": [
            {"name": "setup", "restartCount": 1, "state": {"terminated": {"exitCode": 0}}},
            {"name": "proxy", "restartCount": 0, "state": {"running": {}}},
        ],
        "containerStatuses": [
            {
                "name": "spaceship",
                "restartCount": 2,
                "ready": True,
                "state": {"running": {"startedAt": "2026-11-23T18:30:00Z"}},
            },
            {"name": "droid", "restartCount": 4, "ready": False, "state": {"waiting": {}}},
        ],
    },
}

NODE: Json = {
    "metadata": {"name": "node2"},
    "spec": {
        "podCIDR": "10.244.1.0/24",
        "podCIDRs": ["10.244.1.0/24", "fd00:10:1::/64"],
        "unschedulable": True,
        "taints": [
            {"key": "dedicated", "effect": "NoSchedule", "timeAdded": "2026-11-23T17:00:00Z"},
            {
                "key": "node.kubernetes.io/unschedulable",
                "effect": "NoSchedule",
                "timeAdded": "2026-11-23T18:30:00Z",
            },
        ],
    },
    "status": {
        "addresses": [
            {"type": "Hostname", "address": "node2"},
            {"type": "InternalIP", "address": "172.30.0.12"},
        ],
        "conditions": [{"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-11-23T18:31:00Z"}],
    },
}

SERVICE: Json = {
    "metadata": {"namespace": "default", "name": "deathstar", "uid": "b1"},
    "spec": {
        "type": "NodePort",
        "clusterIP": "10.96.57.217",
        "selector": {"class": "deathstar"},
        "internalTrafficPolicy": "Local",
        "sessionAffinity": "ClientIP",
        "ports": [
            {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web", "nodePort": 30080},
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353},
            {"name": "same", "port": 443},
        ],
    },
}

ENDPOINT_SLICE: Json = {
    "metadata": {
        "namespace": "default",
        "name": "deathstar-x2x",
        "labels": {"kubernetes.io/service-name": "deathstar"},
    },
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "admin", "port": 8080}],
    "endpoints": [
        {
            "addresses": ["10.244.0.157"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "node1",
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "deathstar-0"},
        },
        {
            "addresses": ["10.244.1.3"],
            "conditions": {"ready": False, "serving": True, "terminating": True},
            "targetRef": {"kind": "Node", "name": "deathstar-1"},
        },
    ],
}

CILIUM_ENDPOINT: Json = {
    "metadata": {"namespace": "default", "name": "xwing"},
    "status": {
        "id": 1721,
        "identity": {"id": 27728, "labels": ["k8s:org=alliance"]},
        "networking": {
            "addressing": [{"ipv6": "fd00::1:7d", "ipv4": "10.244.1.125"}],
            "node": "172.30.0.12",
        },
        "state": "ready",
    },
}

CILIUM_NODE: Json = {
    "metadata": {"name": "node2"},
    "spec": {
        "addresses": [
            {"type": "InternalIP", "ip": "172.30.0.12"},
            {"type": "CiliumInternalIP", "ip": "10.244.1.68"},
            {"type": "ExternalIP", "ip": "192.0.2.1"},
        ],
        "ipam": {
            "podCIDRs": ["10.244.1.0/24"],
            "pools": {
                "allocated": [{"pool": "default", "cidrs": ["10.10.1.0/27", "10.244.1.0/24"]}, {"pool": "b"}]
            },
        },
    },
}

AGENT: Json = {
    "metadata": {
        "namespace": "kube-system",
        "name": "cilium-7k2pw",
        "uid": "c1",
        "labels": {"k8s-app": "cilium"},
    },
    "spec": {
        "nodeName": "node2",
        "hostNetwork": True,
        "initContainers": [{"name": "config"}],
        "containers": [{"name": "cilium-agent"}],
    },
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {
                "name": "cilium-agent",
                "restartCount": 3,
                "ready": True,
                "state": {"running": {"startedAt": "2026-11-23T18:30:00Z"}},
            },
        ],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T18:31:00Z"}],
    },
}
