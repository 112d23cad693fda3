from pathlib import Path

import pytest

from lab.buildcache import cached, digest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _made(out: Path) -> None:
    (out / "program").write_text("made")


def test_a_changed_file_changes_the_key(tmp_path: Path) -> None:
    lock = tmp_path / "module/go.sum"
    lock.parent.mkdir()
    lock.write_text("a")
    before = digest(lock.parent)
    lock.write_text("b")
    assert digest(lock.parent) != before


def test_a_renamed_file_changes_the_key(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest(tmp_path) != before


def test_bytecode_does_not_change_the_key(tmp_path: Path) -> None:
    before = digest(tmp_path)
    (tmp_path / "a.pyc").write_bytes(b"x")
    assert digest(tmp_path) == before


def test_the_boundaries_of_parts_matter() -> None:
    assert digest("ab", "c") != digest("a", "bc")


def test_a_cached_build_is_reused() -> None:
    first = cached("bin", "tool", digest("1"), _made)

    def again(_: Path) -> None:
        raise AssertionError("built twice")

    assert cached("bin", "tool", digest("1"), again) == first
    assert (first / "program").read_text() == "made"


def test_a_failed_build_leaves_no_complete_entry() -> None:
    def fails(out: Path) -> None:
        (out / "half").write_text("")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        cached("bin", "tool", digest("1"), fails)
    folder = cached("bin", "tool", digest("1"), _made)
    assert [p.name for p in folder.iterdir()] == ["program"]


def test_only_the_most_recently_used_builds_are_kept() -> None:
    folders = [cached("bin", "tool", digest(str(i)), _made) for i in range(3)]
    other = cached("bin", "tool-agent", digest("x"), _made)
    cached("bin", "tool", digest("0"), _made)  # the oldest is used again
    newest = cached("bin", "tool", digest("new"), _made)
    assert [f.exists() for f in folders] == [True, False, True]
    assert newest.exists()
    assert other.exists()
