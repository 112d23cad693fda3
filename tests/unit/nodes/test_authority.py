"""Certificates: who is who, and for how long."""

from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from datapath_probe.nodes.certificates.authority import (
    CA_LIFE,
    LEAF_LIFE,
    Pair,
    Role,
    is_due,
    is_of,
    issue,
    new_authority,
)
from datapath_probe.nodes.certificates.files import IdentityFiles, NoIdentityError
from unit.nodes.samples import NOW

CA, OTHER_CA = new_authority(NOW), new_authority(NOW)


@pytest.mark.parametrize(
    ("role", "usage"),
    [
        (Role.OPERATOR, ExtendedKeyUsageOID.CLIENT_AUTH),
        (Role.NODE, ExtendedKeyUsageOID.SERVER_AUTH),
    ],
)
def test_a_certificate_has_one_role(role: Role, usage: x509.ObjectIdentifier) -> None:
    certificate = x509.load_pem_x509_certificate(issue(CA, role, NOW).pair.certificate)
    extensions = certificate.extensions
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [role.value]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_it_is_of_the_ca_that_issued_it() -> None:
    certificate = issue(CA, Role.NODE, NOW).pair.certificate
    assert is_of(certificate, CA.certificate)
    assert not is_of(certificate, OTHER_CA.certificate)
    assert not is_of(b"garbage", CA.certificate)


@pytest.mark.parametrize(
    ("after", "due"),
    [
        (timedelta(days=-1), True),
        (timedelta(), False),
        (LEAF_LIFE * 0.6, False),
        (LEAF_LIFE * 0.7, True),
        (LEAF_LIFE * 2, True),
    ],
)
def test_it_is_renewed_while_a_third_of_its_life_is_left(after: timedelta, due: bool) -> None:
    assert is_due(issue(CA, Role.NODE, NOW).pair.certificate, NOW + after) is due


def test_what_can_not_be_read_is_due() -> None:
    assert is_due(b"", NOW)


def test_the_ca_outlives_what_it_issues() -> None:
    ca = x509.load_pem_x509_certificate(CA.certificate)
    assert ca.not_valid_after_utc - NOW > CA_LIFE - timedelta(days=1)
    assert CA_LIFE > 10 * LEAF_LIFE


def test_a_ca_with_the_key_of_another_issues_nothing() -> None:
    with pytest.raises(ValueError, match="key"):
        issue(Pair(CA.certificate, OTHER_CA.key), Role.NODE, NOW)


def test_an_identity_is_read_from_what_is_mounted_now(tmp_path: Path) -> None:
    """A mounted Secret is a link to a directory, which the kubelet replaces as a whole."""
    files = IdentityFiles(tmp_path)
    for number, ca in enumerate((CA, OTHER_CA)):
        with pytest.raises(NoIdentityError) if not number else nullcontext():
            files.read()
        identity = issue(ca, Role.NODE, NOW)
        folder = tmp_path / f"..version{number}"
        folder.mkdir()
        (folder / "tls.crt").write_bytes(identity.pair.certificate)
        (folder / "tls.key").write_bytes(identity.pair.key)
        (folder / "ca.crt").write_bytes(ca.certificate)
        link = tmp_path / "..data.new"
        link.symlink_to(folder.name)
        link.rename(tmp_path / "..data")
        assert files.read() == identity


def test_empty_files_are_no_identity(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).touch()
    with pytest.raises(NoIdentityError, match="issued"):
        IdentityFiles(tmp_path).read()
