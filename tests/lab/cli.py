"""`python -m lab`: the commands behind `make lab-*`."""

import sys
from pathlib import Path

import click

from lab import lifecycle, operatorimage
from lab.build import build as build_artifacts
from lab.cluster import Lab
from lab.settings import CILIUM_MODULES, Attach, Mode, Settings
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


def _settings_options(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option("--nodes", envvar="LAB_NODES", type=click.IntRange(1, 9), default=2, show_default=True),
        click.option(
            "--cilium", envvar="LAB_CILIUM", type=click.Choice(list(CILIUM_MODULES)), default="1.18.5"
        ),
        click.option(
            "--attach", envvar="LAB_ATTACH", type=click.Choice([a.value for a in Attach]), default="tcx"
        ),
        click.option(
            "--mode", envvar="LAB_MODE", type=click.Choice([m.value for m in Mode]), default="vxlan"
        ),
    ):
        command = option(command)
    return command


@main.command()
@_settings_options
@click.option("--fresh", is_flag=True, help="Replace a running lab even if it is the one asked for.")
def up(mode: str, attach: str, cilium: str, nodes: int, fresh: bool) -> None:
    """Bring the lab up, or switch a running one to other settings."""
    lab = lifecycle.up(Settings(Mode(mode), Attach(attach), cilium, nodes), fresh)
    say(f"The lab is up: export KUBECONFIG={lab.kubeconfig}")


@main.command()
def down() -> None:
    """Remove the lab and everything that is left of it."""
    lifecycle.down()


@main.command()
def status() -> None:
    """Say whether a lab is up and healthy; exit code 1 if not."""
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
@_settings_options
def build(mode: str, attach: str, cilium: str, nodes: int) -> None:
    """Build programs and images without starting anything."""
    build_artifacts(Settings(Mode(mode), Attach(attach), cilium, nodes))


@main.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(archive: Path) -> None:
    """Import an image archive (docker-archive) on all nodes."""
    Lab.current().load_image(archive)


@main.command()
@click.option(
    "--name", default="datapath-probe:lab", show_default=True, help="Image name, as manifests ask for it."
)
def image(name: str) -> None:
    """Build the operator's image from this checkout and load it on all nodes."""
    lab = Lab.current()
    archive = operatorimage.build(name)
    with step(f"loading {name} on all nodes"):
        lab.load_image(archive)
    click.echo(archive)
