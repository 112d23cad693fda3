"""Options that several commands have. Called by `main` and `in_cluster`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def setting(flag: str, **settings: Any) -> Callable[[Command], Command]:
    """An option of what runs in the cluster, which an environment variable of the same name can set, too."""
    envvar = flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=envvar, show_envvar=True, **settings)


kubeconfig_option = click.option(
    "--kubeconfig",
    metavar="FILE",
    help="Path to a kubeconfig. Default: the pod's ServiceAccount, else the file that kubectl uses.",
)
context_option = click.option("--context", metavar="NAME", help="Context in the kubeconfig.")
