"""An API server of its own for the chart: other tests install the manifests on theirs."""

from collections.abc import Iterator

import pytest

from integration.apiserver import ApiServer, MissingProgramError, running


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    try:
        with running(tmp_path_factory.mktemp("chart")) as server:
            for namespace in ("shop", "cilium"):
                assert server.run_kubectl("create", "namespace", namespace).returncode == 0
            yield server
    except MissingProgramError as error:
        pytest.skip(str(error))
