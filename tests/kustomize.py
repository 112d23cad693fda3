"""The objects that kustomize builds from the manifests, as dictionaries."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from programs import find_program

MANIFESTS = Path(__file__).parents[1] / "manifests"

Object = dict[str, Any]


@cache
def build(folder: Path) -> tuple[Object, ...]:
    """The objects of a kustomization. Skips the test if this machine has no kubectl."""
    kubectl = find_program("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl: run `make lab-up` once, or set KUBEBUILDER_ASSETS")
    built = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return tuple(yaml.safe_load_all(built.stdout))


def of_kind(objects: tuple[Object, ...], kind: str) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def named(objects: tuple[Object, ...], kind: str, name: str) -> Object:
    [found] = [one for one in of_kind(objects, kind) if one["metadata"]["name"] == name]
    return found
