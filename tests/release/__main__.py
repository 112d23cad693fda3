"""What the release workflow needs of the project: notes of a version, and manifests that name the released image.

`make release-notes TAG=v1.2.3` prints the notes. `make release-image IMAGE=… DIGEST=sha256:…` changes the checkout.
"""

import re
import sys
from pathlib import Path

import click
import yaml

ROOT = Path(__file__).parents[2]


class Disagreement(click.ClickException):
    """What names a version, or an image, is not as a release needs it."""


def versions(root: Path) -> dict[str, str]:
    """Each place that names the version, with the version that it names."""
    package = (root / "operator/datapath_probe/__init__.py").read_text(encoding="utf-8")
    chart = yaml.safe_load((root / "charts/datapath-probe/Chart.yaml").read_text(encoding="utf-8"))
    (version,) = re.findall(r'^__version__ = "(.+)"$', package, re.MULTILINE)
    return {
        "__version__": version,
        "version of Chart.yaml": chart["version"],
        "appVersion": chart["appVersion"],
    }


def notes(root: Path, tag: str) -> str:
    """The section of CHANGELOG.md for `tag`, such as v1.2.3; raises Disagreement if a place names another version."""
    version = tag.removeprefix("v")
    if others := [f"{place} is {named}" for place, named in versions(root).items() if named != version]:
        raise Disagreement(f"the tag is {tag}, but {', '.join(others)}")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## \[{re.escape(version)}\].*\n(?s:(.*?))(?=^## |\Z)", changelog, re.MULTILINE)
    if not section or not section[1].strip():
        raise Disagreement(f"CHANGELOG.md has no section [{version}], or an empty one")
    return section[1].strip()


def set_image(root: Path, repository: str, digest: str) -> None:
    """Let the chart's values and the base of the manifests name the image by digest."""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise Disagreement(f"{digest!r} is no digest: sha256:, and 64 hexadecimal digits")
    values = root / "charts/datapath-probe/values.yaml"
    text = values.read_text(encoding="utf-8")
    for key, value in (("repository", repository), ("digest", digest)):
        text, replaced = re.subn(rf'^  {key}: ".*"$', f'  {key}: "{value}"', text, flags=re.MULTILINE)
        if replaced != 1:
            raise Disagreement(f"values.yaml has {replaced} values with the name {key}")
    values.write_text(text, encoding="utf-8")
    base = root / "manifests/base/kustomization.yaml"
    kustomization = yaml.safe_load(base.read_text(encoding="utf-8"))
    kustomization["images"] = [{"name": "datapath-probe", "newName": repository, "digest": digest}]
    base.write_text(yaml.safe_dump(kustomization, sort_keys=False), encoding="utf-8")


@click.group()
def main() -> None:
    """Prepare a release."""


@main.command("notes")
@click.argument("tag")
def print_notes(tag: str) -> None:
    """Print the notes of TAG."""
    sys.stdout.write(f"{notes(ROOT, tag)}\n")


@main.command("image")
@click.argument("repository")
@click.argument("digest")
def name_image(repository: str, digest: str) -> None:
    """Let chart and manifests name REPOSITORY at DIGEST."""
    set_image(ROOT, repository, digest)


if __name__ == "__main__":
    main()
