"""`python -m lab`: the commands of `make lab-*`."""

import functools
import json
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import click

from lab import lifecycle, operatorimage, packages, preconditions
from lab.build import build as build_artifacts
from lab.cluster import Lab
from lab.settings import CILIUM_MODULES, MAX_NODES, Attach, Ip, Mode, Settings
from lab.shell import LabError, say, step


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LabError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group)
def main() -> None:
    """A real Cilium cluster in network namespaces of this machine."""


def _settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add options for all settings; the command gets a `Settings`."""

    @functools.wraps(command)
    def with_settings(
        mode: str,
        attach: str,
        cilium: str,
        nodes: int,
        endpoint_routes: bool,
        hubble: bool,
        values: str,
        ip: str,
        slim_agent: bool,
        **rest: object,
    ) -> None:
        more = json.loads(values), Ip(ip), slim_agent
        settings = Settings(Mode(mode), Attach(attach), cilium, nodes, endpoint_routes, hubble, *more)
        command(settings=settings, **rest)

    default = Settings()
    for option in (
        click.option("--slim-agent", envvar="LAB_SLIM_AGENT", type=bool, default=False, is_flag=True),
        click.option("--ip", envvar="LAB_IP", type=_choice(Ip), default=default.ip.value),
        click.option(
            "--values", envvar="LAB_VALUES", default="{}", help="More chart values, as JSON by name."
        ),
        click.option("--hubble/--no-hubble", envvar="LAB_HUBBLE", default=default.hubble),
        click.option(
            "--endpoint-routes", envvar="LAB_ENDPOINT_ROUTES", type=bool, default=False, is_flag=True
        ),
        click.option("--nodes", envvar="LAB_NODES", type=click.IntRange(1, MAX_NODES), default=default.nodes),
        click.option(
            "--cilium", envvar="LAB_CILIUM", type=click.Choice([*CILIUM_MODULES]), default=default.cilium
        ),
        click.option("--attach", envvar="LAB_ATTACH", type=_choice(Attach), default=default.attach.value),
        click.option("--mode", envvar="LAB_MODE", type=_choice(Mode), default=default.mode.value),
    ):
        with_settings = option(with_settings)
    return with_settings


def _choice(kind: type[StrEnum]) -> click.Choice[str]:
    return click.Choice([member.value for member in kind])


@main.command()
@_settings_options
@click.option("--fresh", is_flag=True, help="Replace a running lab even if its settings match.")
def up(settings: Settings, fresh: bool) -> None:
    """Bring the lab up, or switch a running one to other settings."""
    lab = lifecycle.up(settings, fresh)
    say(f"The lab is up: export KUBECONFIG={lab.kubeconfig}")


@main.command()
def down() -> None:
    """Remove the lab and all its traces."""
    lifecycle.down()


@main.command()
def status() -> None:
    """Report whether a lab is up and healthy; exit code 1 if not."""
    lab = Lab.current()
    settings = ", ".join(f"{name} {value}" for name, value in lab.settings.to_dict().items())
    click.echo(f"{settings}\nkubeconfig {lab.kubeconfig}")
    problems = lab.problems()
    click.echo("\n".join(problems) or "healthy")
    sys.exit(1 if problems else 0)


@main.command()
def kubeconfig() -> None:
    """Print the path of the admin kubeconfig."""
    click.echo(Lab.current().kubeconfig)


@main.command()
def env() -> None:
    """Print the shell commands that make this lab's cluster and kubectl the default."""
    lab = Lab.current()
    click.echo(f"export KUBECONFIG={lab.kubeconfig} PATH={lab.kubectl_program.parent}:$PATH")


@main.command("node")
@click.argument("node")
@click.argument("command")
def in_node(node: str, command: str) -> None:
    """Run a shell command in the namespaces of a node."""
    done = Lab.current().run(node, "sh", "-c", command, check=False)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    sys.exit(done.returncode)


@main.command()
def possible() -> None:
    """Exit code 0 if the lab can run on this machine; otherwise print the reason."""
    reason = preconditions.unmet()
    if reason:
        click.echo(reason)
        sys.exit(1)


@main.command()
@_settings_options
def build(settings: Settings) -> None:
    """Build programs and images without starting anything."""
    preconditions.check()
    packages.install()
    build_artifacts(settings)


@main.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(archive: Path) -> None:
    """Import an image archive (docker-archive) on all nodes."""
    Lab.current().load_image(archive)


@main.command()
@click.option(
    "--name", default="datapath-probe:lab", show_default=True, help="Image name, as in the manifests."
)
def image(name: str) -> None:
    """Build the operator's image from this checkout and load it on all nodes."""
    lab = Lab.current()
    archive = operatorimage.build(name)
    with step(f"loading {name} on all nodes"):
        lab.load_image(archive)
    click.echo(archive)
