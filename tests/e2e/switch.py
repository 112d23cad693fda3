"""Switches the lab that runs to another mode, setting or version. Used by the tests of `make e2e-modes`."""

from e2e.galaxy import Galaxy, delete_pods, deploy
from e2e.operator_deploy import NAMESPACE as OPERATOR_NAMESPACE
from e2e.operator_deploy import Operator
from lab import lifecycle
from lab.cluster import Lab
from lab.settings import Mode, Settings

SETTLED_S = 120.0
"""Maximum time until a probe is Healthy after a switch."""


def switch(galaxy: Galaxy, settings: Settings) -> None:
    """Switch the lab in place.

    Pods keep their kind of route, so they are recreated for another one. Their connections to the API server do not
    survive another way of masquerading, which the operator notices only after a minute: it is recreated then.
    """
    before = Lab.current().settings
    if before == settings:
        return
    lifecycle.up(settings)
    if before.endpoint_routes != settings.endpoint_routes:
        for namespace in (OPERATOR_NAMESPACE, galaxy.namespace):
            delete_pods(galaxy.lab, galaxy.api, namespace)
        deploy(galaxy.lab, galaxy.api)
    elif (before.mode is Mode.PRODUCTION) != (settings.mode is Mode.PRODUCTION):
        delete_pods(galaxy.lab, galaxy.api, OPERATOR_NAMESPACE)
    Operator(galaxy.lab, galaxy.api).wait_ready(SETTLED_S)
    galaxy.wait_ready()
    galaxy.wait_at_rest()
