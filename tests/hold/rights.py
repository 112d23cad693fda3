"""Rights that somebody has by the operator, and without it would not have. Decided by a real API server."""

import asyncio
import tempfile
from pathlib import Path

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.kube.client import connect, load_configuration
from hold.attack import Attack, Bar
from integration.apiserver import ApiServer, running
from integration.kube.conftest import install_cilium
from integration.kube.test_exec_policy import DENIED, connected, installed_everywhere, refusal
from integration.manifests.test_author_policy import WITHOUT_RIGHT, created, with_users


def admitted_commands() -> float:
    """Commands that are admitted with the operator's token. Source pods are those of all namespaces."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
        install_cilium(api)
        with installed_everywhere(api):
            return asyncio.run(_admitted_commands(api))


async def _admitted_commands(api: ApiServer) -> int:
    async with (
        connect(await load_configuration(str(api.kubeconfig))) as kube,
        connected(api, kube) as client,
    ):
        refused = [await refusal(client, target, *argv) for target, argv in DENIED]
    return sum(one.reason is not EvidenceError.EXEC_FORBIDDEN for one in refused)


def created_probes() -> float:
    """Probes that authors create who may not exec into the source pod."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api, with_users(api):
        denied = [created(api, user, pod=pod) for user, pod in WITHOUT_RIGHT]
    return sum("may not create pods/exec" not in one for one in denied)


ATTACKS = (
    Attack(
        "a stolen token of the operator, and commands that it never runs: admitted",
        f"{len(DENIED)}, all of them",
        Bar(f"of {len(DENIED)}", at_most=0),
        admitted_commands,
    ),
    Attack(
        "authors without the right to exec into the source pod: probes created",
        f"{len(WITHOUT_RIGHT)}, all of them",
        Bar(f"of {len(WITHOUT_RIGHT)}", at_most=0),
        created_probes,
    ),
)
