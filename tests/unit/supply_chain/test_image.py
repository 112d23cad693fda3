"""The base image is pinned by digest, and every place names the same version of Python."""

import re

from unit.supply_chain.locked import ROOT


def test_the_base_image_is_pinned_by_digest_and_release() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"docker\.io/library/python:3\.13\.[0-9]+-slim-trixie@sha256:[0-9a-f]{64}", base)
    tag = base.partition("@")[0]
    assert f"BASE={tag} " in (ROOT / "Makefile").read_text()


def test_every_package_of_the_image_is_verified_by_hash() -> None:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    from_an_index = [one for one in re.findall(r"pip install[^&\n]*", text) if "-r requirements" in one]
    assert len(from_an_index) == 2
    assert all("--require-hashes" in install and "--no-deps" in install for install in from_an_index)
