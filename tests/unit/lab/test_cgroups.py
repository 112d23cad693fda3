from pathlib import Path

import pytest

from lab import cgroups
from lab.preconditions import supported_cgroups


@pytest.fixture
def hybrid(tmp_path: Path) -> Path:
    """cgroup v1 controllers with a v2 tree under `unified`."""
    for name in ("cpuset", "memory", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpuset/cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset/cpuset.mems").write_text("0\n")
    (tmp_path / "cpu").symlink_to("memory")  # as systemd links cpu to cpu,cpuacct
    return tmp_path


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    return tmp_path


def test_a_hybrid_layout_has_a_hierarchy_for_each_controller_and_v2(hybrid: Path) -> None:
    assert [h.name for h in cgroups.hierarchies(hybrid)] == ["cpuset", "memory", "unified"]


def test_a_v2_layout_has_one_hierarchy(unified: Path) -> None:
    assert cgroups.hierarchies(unified) == [unified]


def test_a_process_of_a_node_joins_every_hierarchy(hybrid: Path) -> None:
    cgroups.create("node1", hybrid)
    argv = cgroups.joining("node1", "prog", "-x", root=hybrid)
    assert argv[1:] == [
        *(f"{hybrid}/{name}/dplab/node1/cgroup.procs" for name in ("cpuset", "memory", "unified")),
        *("--", "prog", "-x"),
    ]


def test_on_v2_processes_move_to_a_leaf_so_that_pods_have_controllers(unified: Path) -> None:
    node = unified / "dplab/node1"
    for folder in (node.parent, node):  # the kernel fills this file in each new cgroup
        folder.mkdir()
        (folder / "cgroup.controllers").write_text("cpu memory misc\n")
    cgroups.create("node1", unified)
    assert cgroups.joining("node1", root=unified)[1] == f"{node}/cgroup.procs"
    assert not (node / "cgroup.subtree_control").exists()

    (node / "cgroup.procs").write_text("41\n")
    cgroups.prepare_for_pods("node1", unified)
    assert (node / "system/cgroup.procs").read_text() == "41"
    assert cgroups.joining("node1", root=unified)[1] == f"{node}/system/cgroup.procs"
    assert (node / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_processes_of_nested_cgroups_are_found(hybrid: Path) -> None:
    pod = hybrid / "memory/dplab/node1/kubepods/pod1"
    pod.mkdir(parents=True)
    (pod / "cgroup.procs").write_text("41\n42\n")
    (hybrid / "memory/cgroup.procs").write_text("1\n")
    assert cgroups.pids(hybrid) == {41, 42}


def test_supported_layouts(hybrid: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert supported_cgroups(hybrid)
    assert not supported_cgroups(tmp_path_factory.mktemp("no-cgroups"))
