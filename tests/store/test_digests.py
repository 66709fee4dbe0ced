import contextlib
import hashlib
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbuild.errors import DataError
from mlbuild.store.digests import GRANULE_NS, Digests, settled
from mlbuild.store.statcache import packed, unpacked

root_only = pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")


@pytest.fixture
def digests(tmp_path: Path) -> Digests:
    return Digests(tmp_path / ".mlbuild", tmp_path)


_OPENED: list[str] | None = None


def _hook(event: str, arguments: tuple) -> None:
    if event == "open" and _OPENED is not None and isinstance(arguments[0], str):
        _OPENED.append(arguments[0])


sys.addaudithook(_hook)  # the interpreter's own word on which files are opened


@contextlib.contextmanager
def reads(folder: Path) -> Iterator[list[str]]:
    """The names of the files below a folder that this process opens, but for `.mlbuild`."""
    global _OPENED
    found: list[str] = []
    _OPENED = []
    try:
        yield found
    finally:
        paths = [Path(p) for p in _OPENED if p.startswith(f"{folder}/")]
        _OPENED = None
        names = [str(p.relative_to(folder)) for p in paths]
        found += [n for n in names if not n.startswith(".mlbuild")]


def again(tmp_path: Path) -> Digests:
    return Digests(tmp_path / ".mlbuild", tmp_path)


def age(path: Path) -> None:
    """Lets the clock move on, so that the file counts as at rest."""
    time.sleep(2 * GRANULE_NS / 1e9)


def test_a_file_has_the_md5_of_its_bytes(digests, tmp_path):
    (tmp_path / "f").write_bytes(b"a\r\nb")
    found = digests.of(tmp_path / "f")
    assert (found.md5, found.size, found.nfiles, found.isexec) == (
        hashlib.md5(b"a\r\nb").hexdigest(),
        4,
        None,
        False,
    )


def test_the_executable_bit_is_told(digests, tmp_path):
    (tmp_path / "f").write_text("x")
    (tmp_path / "f").chmod(0o755)
    assert digests.of(tmp_path / "f").isexec


def test_what_is_not_there_has_no_digest(digests, tmp_path):
    assert digests.of(tmp_path / "nothing" / "at" / "all") is None
    assert digests.seen == {str(tmp_path / "nothing" / "at" / "all"): None}


@settings(max_examples=15, deadline=None)
@given(
    st.dictionaries(
        st.lists(
            st.text(
                "abé '\"#😀", min_size=1, max_size=4
            )  # DVC's patterns miss `.git` behind a newline
            | st.sampled_from([".git", ".hg", ".hidden", ".gitignore"]),
            min_size=1,
            max_size=3,
        ).map("/".join),
        st.binary(max_size=20),
        min_size=1,
        max_size=8,
    )
)
def test_a_folders_digest_is_the_one_that_dvc_computes(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("tree") / "data"
    folder.mkdir()
    for name, data in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except (NotADirectoryError, FileExistsError, IsADirectoryError):
            continue
    found = Digests(folder.parent / ".mlbuild", folder.parent).of(folder)
    assert (found.md5, found.size, found.nfiles) == _by_dvc(folder)


def _by_dvc(folder: Path):
    from dvc.fs import LocalFileSystem
    from dvc.ignore import DvcIgnoreFilter
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db.local import LocalHashFileDB

    fs = LocalFileSystem()
    ignore = DvcIgnoreFilter(fs, str(folder.parent))
    odb = LocalHashFileDB(fs, str(folder.parent / "odb"))
    _, meta, tree = build(odb, str(folder), fs, "md5", ignore=ignore)
    return tree.hash_info.value, meta.size, meta.nfiles


def test_a_dvc_repository_inside_a_folder_is_left_out_as_dvc_does(digests, tmp_path):
    (tmp_path / "data/inner/.dvc").mkdir(parents=True)
    (tmp_path / "data/inner/f").write_text("x")
    (tmp_path / "data/g").write_text("y")
    assert list(digests.listing(tmp_path / "data")) == ["g"]
    assert digests.of(tmp_path / "data").md5 == _by_dvc(tmp_path / "data")[0]


def test_an_unchanged_file_is_not_read_again(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    age(path)
    first = Digests(tmp_path / ".mlbuild", tmp_path)
    known = first.of(path)
    first.flush()
    times = path.stat()
    # Same stat data but for ctime, which cannot be set: the cache must notice even this.
    path.write_text("new")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert again(tmp_path).of(path) != known


def test_a_touched_file_keeps_its_digest(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    known = again(tmp_path).of(path)
    os.utime(path)
    assert again(tmp_path).of(path) == known


def test_a_file_that_has_just_changed_is_not_trusted(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    digests = again(tmp_path)
    digests.of(path)
    digests.flush()
    assert not (tmp_path / ".mlbuild" / "digests").exists()


def test_a_file_that_has_settled_is_trusted_after_all(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    digests = again(tmp_path)
    digests.of(path)
    assert digests.settle()
    digests.flush()
    assert list((tmp_path / ".mlbuild" / "digests").iterdir())


def test_a_change_between_reading_and_settling_is_noticed(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    digests = again(tmp_path)
    digests.of(path)
    path.write_text("y")
    assert not digests.settle()


def test_too_much_unsettled_data_is_not_read_twice(tmp_path):
    (tmp_path / "f").write_text("x" * 100)
    digests = again(tmp_path)
    digests.of(tmp_path / "f")
    assert not digests.settle(limit_bytes=10)


def test_whole_second_timestamps_need_two_seconds_of_rest():
    second = 1_700_000_000 * 10**9
    assert not settled((1, second, second, 1), second + 10**9)
    assert settled((1, second, second, 1), second + 3 * 10**9)
    assert settled((1, second + 5, second + 5, 1), second + 10**9)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"x" * 40])
def test_a_damaged_cache_is_rebuilt_silently(tmp_path, damage):
    (tmp_path / "f").write_text("x")
    age(tmp_path / "f")
    digests = again(tmp_path)
    known = digests.of(tmp_path / "f")
    digests.flush()
    for page in (tmp_path / ".mlbuild/digests").iterdir():
        page.write_bytes(damage)
    assert again(tmp_path).of(tmp_path / "f") == known


def test_one_new_file_among_many_is_the_only_one_read(tmp_path):
    (tmp_path / "data").mkdir()
    for i in range(50):
        (tmp_path / f"data/{i}").write_text(str(i))
    age(tmp_path)
    digests = again(tmp_path)
    digests.of(tmp_path / "data")
    digests.flush()
    (tmp_path / "data/new").write_text("new")
    with reads(tmp_path) as read:
        after = again(tmp_path).of(tmp_path / "data")
    assert after.nfiles == 51
    assert read == ["data/new"]


CHANGES = {
    "a file's text": lambda d: (d / "sub/7").write_text("!"),
    "a file's text of the same size and date": lambda d: _rewrite(d / "sub/7"),
    "a new file": lambda d: (d / "sub/new").write_text("7"),
    "a file gone": lambda d: (d / "sub/7").unlink(),
    "a file renamed": lambda d: (d / "sub/7").rename(d / "sub/70"),
    "two files exchanged": lambda d: _exchange(d / "sub/7", d / "sub/8"),
    "a folder renamed": lambda d: (d / "sub").rename(d / "other"),
    "a folder replaced": lambda d: (shutil.rmtree(d / "sub"), (d / "sub").mkdir()),
    "a file in the place of a folder": lambda d: (
        shutil.rmtree(d / "sub"),
        (d / "sub").write_text("7"),
    ),
    "a folder in the place of a file": lambda d: ((d / "1").unlink(), (d / "1").mkdir()),
}


def _rewrite(path: Path) -> None:
    times = path.stat()
    path.write_text("!")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _exchange(one: Path, two: Path) -> None:
    one.rename(one.with_name("x"))
    two.rename(one)
    one.with_name("x").rename(two)


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_of_a_folder_is_seen_by_the_cache_as_by_a_reading(tmp_path, what):
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    for i in range(10):
        (data / f"{i}").write_text(str(i))
        (data / f"sub/{i}").write_text(str(i))
    age(tmp_path)
    digests = again(tmp_path)
    before = digests.of(data)
    digests.flush()
    CHANGES[what](data)
    after = again(tmp_path).of(data)
    assert after == Digests(tmp_path / "elsewhere", tmp_path).of(data)
    assert after != before


def test_a_folder_that_did_not_change_is_not_read_again(tmp_path):
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/f").write_text("x")
    age(tmp_path)
    digests = again(tmp_path)
    before = digests.of(tmp_path / "data")
    listing = digests.listing(tmp_path / "data")
    digests.flush()
    with reads(tmp_path) as read:
        after = again(tmp_path)
        assert after.of(tmp_path / "data") == before
        assert after.listing(tmp_path / "data") == listing == {"sub/f": md5_of("x")}
    assert read == []


def md5_of(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize("version", [1, 3])
def test_a_cache_of_another_format_is_rebuilt_silently(tmp_path, monkeypatch, version):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/f").write_text("x")
    age(tmp_path)
    monkeypatch.setattr("mlbuild.store.statcache._VERSION", version)
    digests = again(tmp_path)
    known = digests.of(tmp_path / "data")
    digests.flush()
    monkeypatch.undo()
    with reads(tmp_path) as read:
        assert again(tmp_path).of(tmp_path / "data") == known
    assert read == ["data/f"]


def test_a_file_of_many_that_has_just_changed_is_the_only_one_not_trusted(tmp_path):
    (tmp_path / "data").mkdir()
    for i in range(5):
        (tmp_path / f"data/{i}").write_text(str(i))
    age(tmp_path)
    for attempt in range(100):  # on a busy machine a tick passes before the file is read
        (tmp_path / "data/3").write_text(f"new {attempt}")
        digests = again(tmp_path)
        digests.of(tmp_path / "data")
        if time.time_ns() < (tmp_path / "data/3").stat().st_ctime_ns + GRANULE_NS:
            break
    digests.flush()
    with reads(tmp_path) as read:
        again(tmp_path).of(tmp_path / "data")
    assert read == ["data/3"]


def test_only_what_was_not_at_rest_counts_as_too_much_to_read_again(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/old").write_text("x" * 100)
    age(tmp_path)
    (tmp_path / "data/new").write_text("x")
    digests = again(tmp_path)
    digests.of(tmp_path / "data")
    assert digests.settle(limit_bytes=10)


def test_what_others_put_beside_a_result_is_read_before_it_is_believed(digests, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").write_text("x")
    known = digests.of(tmp_path / "out")
    (tmp_path / "out/more").write_text("y")
    digests.learn(tmp_path / "out", known, {"f": md5_of("x")})
    assert digests.of(tmp_path / "out").nfiles == 2


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 2**64 - 1),
        ),
        max_size=5,
    )
)
def test_packed_stat_data_are_the_same_unpacked(sigs):
    assert unpacked(packed(sigs)) == sigs


def test_a_moved_checkout_keeps_its_cache(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one/f").write_text("x")
    age(tmp_path)
    digests = Digests(tmp_path / "one/.mlbuild", tmp_path / "one")
    digests.of(tmp_path / "one/f")
    digests.flush()
    (tmp_path / "one").rename(tmp_path / "two")
    with reads(tmp_path / "two") as read:
        Digests(tmp_path / "two/.mlbuild", tmp_path / "two").of(tmp_path / "two/f")
    assert read == []


def test_many_large_files_are_read_on_threads_with_the_same_result(tmp_path):
    (tmp_path / "data").mkdir()
    for i in range(20):
        (tmp_path / f"data/{i}").write_bytes(bytes([i]) * 500_000)
    one, many = Digests(tmp_path / "x", tmp_path, 1), Digests(tmp_path / "y", tmp_path, 4)
    assert one.listing(tmp_path / "data") == many.listing(tmp_path / "data")


def test_forgetting_a_file_forgets_the_folders_around_it(digests, tmp_path):
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/f").write_text("x")
    before = digests.of(tmp_path / "data")
    (tmp_path / "data/sub/f").write_text("longer")
    assert digests.of(tmp_path / "data") == before
    digests.forget(tmp_path / "data/sub/f")
    assert digests.of(tmp_path / "data") != before


def test_forgetting_a_folder_forgets_the_files_in_it(digests, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/f").write_text("x")
    digests.of(tmp_path / "data/f")
    (tmp_path / "data/f").unlink()
    digests.forget(tmp_path / "data")
    assert digests.of(tmp_path / "data/f") is None


def fails(digests: Digests, path: Path) -> str:
    with pytest.raises(DataError) as caught:
        digests.of(path)
    assert caught.value.exit_code == 4
    return caught.value.render()


def test_a_dangling_link_is_an_error(digests, tmp_path):
    (tmp_path / "link").symlink_to("gone")
    assert fails(digests, tmp_path / "link") == (
        f"{tmp_path}/link is a link to 'gone', which does not exist\n"
        "  hint: remove the link or put its target back"
    )


def test_a_dangling_link_in_a_folder_is_an_error(digests, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/link").symlink_to("gone")
    assert fails(digests, tmp_path / "data") == (
        f"{tmp_path}/data/link is a link to 'gone', which does not exist\n"
        "  hint: remove the link or put its target back"
    )


def test_a_link_to_a_folder_in_a_folder_is_an_error(digests, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "data/link").symlink_to("../other")
    assert fails(digests, tmp_path / "data") == (
        f"{tmp_path}/data/link is a link to a folder; DVC does not look behind it\n"
        "  hint: put the folder itself in its place, or declare what it points to as an input"
    )


def test_a_link_to_a_file_counts_as_the_file(digests, tmp_path):
    (tmp_path / "f").write_text("x")
    (tmp_path / "link").symlink_to("f")
    assert digests.of(tmp_path / "link") == digests.of(tmp_path / "f")


@pytest.mark.parametrize("where", ["pipe", "data/pipe"])
def test_a_pipe_is_an_error(digests, tmp_path, where):
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / where)
    assert fails(digests, tmp_path / where.split("/")[0]) == (
        f"{tmp_path}/{where} is neither a file nor a folder\n"
        "  hint: sockets, pipes and devices hold no data: remove it or name another path"
    )


def test_a_socket_is_an_error(digests, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        assert "is neither a file nor a folder" in fails(digests, tmp_path / "s")


@root_only
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_unreadable_input_is_an_error(digests, tmp_path, kind):
    path = tmp_path / "secret"
    path.mkdir() if kind == "folder" else path.write_text("x")
    path.chmod(0)
    assert fails(digests, path) == (
        f"reading failed: {path} is not accessible\n"
        f"  hint: check the permissions, e.g. ls -ld '{path}'"
    )


def test_an_unreadable_input_is_an_error_for_others_than_root(tmp_path):
    """As above, in a process without root's rights, so that it is tested on every machine."""
    if os.geteuid() != 0:
        pytest.skip("covered above")
    import subprocess

    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "secret").mkdir(mode=0)
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from mlbuild.errors import DataError\n"
        "from mlbuild.store.digests import Digests\n"
        "os.setgid(65534); os.setuid(65534)\n"
        f"root = Path({str(tmp_path)!r})\n"
        "try: Digests(root / '.mlbuild', root).of(root / 'secret')\n"
        "except DataError as error: print(error.render())\n"
    )
    src = str(Path(__file__).parents[2])
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": src}
    )
    assert out.stdout == (
        f"reading failed: {tmp_path}/secret is not accessible\n"
        f"  hint: check the permissions, e.g. ls -ld '{tmp_path}/secret'\n"
    )


def test_a_file_dated_in_the_future_is_trusted_and_costs_no_wait(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    os.utime(path, (4e9, 4e9))
    age(path)
    digests = again(tmp_path)
    digests.of(path)
    digests.flush()
    with reads(tmp_path) as read:
        again(tmp_path).of(path)
    assert read == []
