"""Builds everything that is built once per machine: programs, images, and the containerd store with them.

In: settings. Out: paths in the cache. Called by `lifecycle` and `cli`.
"""

from dataclasses import dataclass
from pathlib import Path

from lab import gobuild, images, imagestore
from lab.settings import Settings


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Paths in the cache. Their names contain a hash of the contents, so equal artifacts are the same build."""

    kubernetes: Path
    init: Path
    store: Path


def build(settings: Settings) -> Artifacts:
    """Build what is not in the cache."""
    kubernetes = gobuild.KUBERNETES.build()
    gobuild.HELM.build()
    gobuild.HELM_4.build()
    archives = images.all_images(settings.cilium)
    return Artifacts(kubernetes, images.pause_program(), imagestore.prepared(archives))
