"""The lab's values of the Cilium chart against the chart's own. No lab is started; the Go modules must be there."""

from functools import reduce
from typing import Any

import pytest
import yaml

from lab import cilium
from lab.settings import CILIUM_MODULES, Attach, Mode, Settings

ONE_OF_EACH = (
    *(Settings(mode) for mode in Mode),
    Settings(attach=Attach.TC),
    Settings(endpoint_routes=True),
    Settings(hubble=False),
)


@pytest.mark.parametrize("version", CILIUM_MODULES)
def test_no_value_is_the_default_of_the_chart(version: str) -> None:
    defaults = yaml.safe_load((cilium.chart(Settings(cilium=version)) / "values.yaml").read_text())
    for settings in ONE_OF_EACH:
        for name, value in cilium.values(settings).items():
            assert _at(defaults, name) != value, name


def _at(tree: dict[str, Any], name: str) -> object:
    return reduce(lambda branch, key: branch[key], name.split("."), tree)
