import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbuild.errors import DataError
from mlbuild.records import Digest
from mlbuild.store import cache as cache_module
from mlbuild.store.cache import ObjectMissingError, Objects


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "cache")


def files_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_an_object_is_read_only_and_named_by_its_digest(objects, tmp_path):
    (tmp_path / "f").write_text("x")
    found = objects.put(tmp_path / "f")
    path = objects.path(found.digest.md5)
    assert path == tmp_path / "cache/files/md5/9d/d4e461268c8034f5c8564e155c67a6"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("x", 0o444)


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=2).map(lambda t: "/".join(t)), st.binary(max_size=9)
    )
)
def test_what_went_in_comes_out(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("cache")
    for name, data in files.items():
        path = root / "in" / name
        if not any(p.is_file() for p in path.parents) and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (root / "in").mkdir(exist_ok=True)
    objects = Objects(root / "cache")
    digest = objects.put(root / "in").digest
    objects.checkout(digest, root / "out")
    assert files_of(root / "out") == files_of(root / "in")
    assert objects.complete(digest.md5)
    assert digest.nfiles == len(files_of(root / "in"))


@pytest.mark.parametrize("isexec", [True, False])
def test_the_executable_bit_comes_back(objects, tmp_path, isexec):
    (tmp_path / "f").write_text("x")
    (tmp_path / "f").chmod(0o755 if isexec else 0o644)
    digest = objects.put(tmp_path / "f").digest
    objects.checkout(digest, tmp_path / "g")
    assert bool((tmp_path / "g").stat().st_mode & 0o111) == isexec
    assert (tmp_path / "g").stat().st_mode & 0o200


def test_many_files_are_put_on_threads(objects, tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(300):
        (tmp_path / f"in/{i}").write_text(str(i % 7))
    digest = objects.put(tmp_path / "in").digest
    objects.checkout(digest, tmp_path / "out")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "in")


def test_what_is_not_there_cannot_be_had(objects, tmp_path):
    digest = Digest("0" * 32)
    assert not objects.complete(digest.md5)
    with pytest.raises(ObjectMissingError) as caught:
        objects.checkout(digest, tmp_path / "f")
    assert caught.value.render() == (
        f"f cannot be restored: object {'0' * 32} is missing\n"
        "  hint: `dvc pull` fetches it if a remote has it; otherwise run the stage again"
    )


@pytest.mark.parametrize("relpath", ["../f", "/etc/f", "a/../../f", ""])
def test_a_listing_that_points_outside_is_corrupt(objects, relpath):
    from mlbuild.fingerprint import listing_md5

    md5, data = listing_md5([(relpath, "0" * 32)])
    objects.put_bytes(md5, data)
    assert objects.listing(md5) is None
    assert not objects.has(md5)


def test_a_file_that_changed_since_it_was_hashed_is_not_put_under_its_name(objects, tmp_path):
    (tmp_path / "f").write_text("new")
    with pytest.raises(DataError) as caught:
        objects.put_listed([(tmp_path / "f", "0" * 32)])
    assert caught.value.render() == (f"{tmp_path}/f changed while it was stored\n  hint: run again")
    assert not objects.has("0" * 32)


def test_a_pipe_is_no_output(objects, tmp_path):
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in/pipe")
    with pytest.raises(DataError) as caught:
        objects.put(tmp_path / "in")
    assert caught.value.render() == (
        f"{tmp_path}/in/pipe is neither a file nor a folder\n"
        "  hint: sockets, pipes and devices hold no data: remove it or name another path"
    )


def test_a_pipe_by_itself_is_no_output(objects, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError) as caught:
        objects.put(tmp_path / "pipe")
    assert str(caught.value) == (
        f"{tmp_path}/pipe is neither a file nor a folder: it cannot be an output"
    )


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_links_out_of_the_cache_are_read_only(tmp_path, kind):
    objects = Objects(tmp_path / "cache", (kind, "copy"))
    (tmp_path / "f").write_text("x")
    digest = objects.put(tmp_path / "f").digest
    objects.checkout(digest, tmp_path / "g")
    assert (tmp_path / "g").is_symlink() == (kind == "symlink")
    assert (tmp_path / "g").samefile(objects.path(digest.md5))
    assert not (tmp_path / "g").stat().st_mode & 0o222


def test_a_link_that_cannot_be_made_becomes_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda a, b: (_ for _ in ()).throw(OSError(18, "no")))
    objects = Objects(tmp_path / "cache", ("hardlink", "copy"))
    (tmp_path / "f").write_text("x")
    digest = objects.put(tmp_path / "f").digest
    objects.checkout(digest, tmp_path / "g")
    assert (tmp_path / "g").stat().st_nlink == 1


def test_leftovers_of_killed_processes_are_swept(objects, tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    place = tmp_path / "cache/files/.mlbuild"
    place.mkdir(parents=True)
    for name in (f"{dead.pid}-a", f"{dead.pid}-b", f"{os.getpid()}-c"):
        (place / name).write_text("half")
        if not name.endswith("b"):
            os.utime(place / name, (0, 0))
    objects.sweep()
    assert {p.name for p in place.iterdir()} == {f"{dead.pid}-b", f"{os.getpid()}-c"}


@pytest.mark.parametrize("count", range(1, 5))
def test_a_kill_leaves_no_wrong_object(objects, tmp_path, monkeypatch, faults, count):
    (tmp_path / "in").mkdir()
    for i in range(3):
        (tmp_path / f"in/{i}").write_text(str(i))
    faults.kill_at(monkeypatch, (cache_module,), count)
    with pytest.raises(faults.Killed):
        objects.put(tmp_path / "in")
    from mlbuild.fingerprint import file_md5

    for path in (tmp_path / "cache/files/md5").rglob("*"):
        if path.is_file():
            assert path.parent.name + path.name == file_md5(path)
