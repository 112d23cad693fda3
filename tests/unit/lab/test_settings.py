import pytest
from click.testing import CliRunner

from lab import lifecycle
from lab.cli import main
from lab.cluster import Lab
from lab.settings import Attach, Ip, Mode, Settings, SettingsError, node_ip, node_ip_v6
from lab.shell import LabError


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that `lab up` passes on; nothing is started."""
    seen: list[Settings] = []

    def up(settings: Settings, fresh: bool) -> Lab:
        seen.append(settings)
        raise LabError("not in a unit test")

    monkeypatch.setattr(lifecycle, "up", up)
    for name in (
        "LAB_MODE",
        "LAB_ATTACH",
        "LAB_CILIUM",
        "LAB_NODES",
        "LAB_ENDPOINT_ROUTES",
        "LAB_HUBBLE",
        "LAB_IP",
    ):
        monkeypatch.delenv(name, raising=False)
    return seen


def test_a_lab_without_options_is_two_nodes_with_vxlan(requested: list[Settings]) -> None:
    CliRunner().invoke(main, ["up"])
    assert requested == [Settings(Mode.VXLAN, Attach.TCX, "1.18.5", 2)]


def test_options_come_from_the_environment_and_flags_take_precedence(
    requested: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_MODE", "native")
    monkeypatch.setenv("LAB_ATTACH", "tc")
    monkeypatch.setenv("LAB_NODES", "3")
    monkeypatch.setenv("LAB_ENDPOINT_ROUTES", "1")
    monkeypatch.setenv("LAB_HUBBLE", "0")
    monkeypatch.setenv("LAB_IP", "dual")
    CliRunner().invoke(main, ["up", "--mode", "kpr"])
    expected = Settings(Mode.KPR, Attach.TC, "1.18.5", 3, endpoint_routes=True, hubble=False, ip=Ip.DUAL)
    assert requested == [expected]


def test_an_empty_environment_variable_counts_as_unset(
    requested: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_MODE", "")
    monkeypatch.setenv("LAB_NODES", "")
    monkeypatch.setenv("LAB_ENDPOINT_ROUTES", "")
    monkeypatch.setenv("LAB_HUBBLE", "")
    CliRunner().invoke(main, ["up"])
    assert requested == [Settings()]


@pytest.mark.parametrize("argv", [["--mode", "geneve"], ["--nodes", "0"], ["--cilium", "1.2.3"]])
def test_an_invalid_option_is_rejected_with_the_valid_values(
    requested: list[Settings], argv: list[str]
) -> None:
    result = CliRunner().invoke(main, ["up", *argv])
    assert result.exit_code == 2
    assert "Invalid value" in result.output
    assert requested == []


def test_an_error_is_one_line_without_a_traceback(requested: list[Settings]) -> None:
    result = CliRunner().invoke(main, ["up"])
    assert result.exit_code == 1
    assert result.output == "Error: not in a unit test\n"


def test_invalid_settings_are_rejected_in_code_too() -> None:
    with pytest.raises(SettingsError, match="1 to 9 nodes"):
        Settings(nodes=10)
    with pytest.raises(SettingsError, match=r"1\.18\.5"):
        Settings(cilium="1.0")


def test_settings_are_restored_from_the_record_of_a_lab() -> None:
    settings = Settings(Mode.NATIVE, Attach.TC, "1.18.5", 3, endpoint_routes=True, ip=Ip.DUAL)
    assert Settings.from_dict(settings.to_dict()) == settings


def test_every_node_has_its_own_address() -> None:
    names = Settings(nodes=9).node_names
    assert len({node_ip(name) for name in names}) == 9
    assert node_ip("node1") == "172.30.0.11"
    assert len({node_ip_v6(name) for name in names}) == 9
    assert node_ip_v6("node1") == "fd00:172:30::11"
