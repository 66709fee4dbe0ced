import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlbuild.errors import DataError
from mlbuild.store import hashing, reading, small, workers
from mlbuild.store.cache import Objects
from mlbuild.store.digests import GRANULE_NS, Digests
from mlbuild.store.meter import Meter
from mlbuild.store.small import LARGE
from mlbuild.store.twins import Twins

MANY = workers.MANY + 300  # as few as go to processes
QUIET = Meter(None, "", 0)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def age() -> None:
    """Lets the clock move on, so that files count as at rest."""
    time.sleep(2 * GRANULE_NS / 1e9)


def children() -> set[str]:
    found = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True)
    return {line for line in found.stdout.decode().splitlines() if "small.py" in line}


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """A folder of so many small files that processes read them."""
    folder = tmp_path_factory.mktemp("many") / "data"
    for number in range(MANY):
        path = folder / str(number % 7) / f"é {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number % 900}")
    age()
    return folder


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    """Processes are used on machines of one core, too."""
    monkeypatch.setattr(workers, "cores", lambda: 2)
    monkeypatch.setattr(hashing, "cores", lambda: 2)


def listing_of(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): md5(p.read_bytes()) for p in files}


def fresh(folder: Path, tmp_path: Path) -> Digests:
    return Digests(tmp_path / ".mlbuild", folder.parent)


# --- many small files -------------------------------------------------------------------------


def test_many_files_have_the_digests_of_their_bytes(many, tmp_path):
    assert fresh(many, tmp_path).listing(many) == listing_of(many)
    assert not children()


def test_many_files_may_be_read_from_a_thread(many, tmp_path):
    found: list[dict[str, str]] = []
    thread = threading.Thread(target=lambda: found.append(fresh(many, tmp_path).listing(many)))
    thread.start()
    thread.join()
    assert found == [listing_of(many)]


def test_two_at_once_learn_the_same_and_leave_a_whole_cache(many, tmp_path):
    both = [fresh(many, tmp_path), fresh(many, tmp_path)]

    def learn(digests: Digests) -> None:
        digests.of(many)
        digests.flush()

    threads = [threading.Thread(target=learn, args=(d,)) for d in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both[0].of(many) == both[1].of(many) == fresh(many, tmp_path).of(many)


def test_a_process_that_dies_costs_time_only(many, tmp_path, monkeypatch):
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **k: real(["true"], **k))
    assert fresh(many, tmp_path).listing(many) == listing_of(many)


@pytest.mark.parametrize("what", ["pipe", "gone", "secret"])
def test_what_is_wrong_with_one_of_many_is_told_as_of_one(many, tmp_path, what):
    bad = tmp_path / "data" / "bad"
    shutil.copytree(many, tmp_path / "data")
    paths = [str(p) for p in (tmp_path / "data").rglob("*") if p.is_file()]
    if what == "pipe":
        os.mkfifo(bad)  # took a file's place after it was looked at: must not be waited for
    elif what == "secret" and os.geteuid() == 0:
        pytest.skip("root reads everything")
    elif what == "secret":
        bad.touch(0)
    if what != "pipe":
        files = [(path, 1) for path in [*paths, str(bad)]]
        with pytest.raises(DataError) as caught:
            list(hashing.read_all(files, Twins(tmp_path / "twins"), QUIET))
        assert str(bad) in str(caught.value)
    else:
        assert small.rows([str(bad)]) == [None]
    assert not children()


def test_whoever_stops_asking_leaves_no_process(many):
    names = [str(p) for p in many.rglob("*") if p.is_file()]
    answers = workers.spread("rows", names)
    next(answers)
    assert len(children()) > 0
    answers.close()
    assert not children()


def test_a_reading_process_ends_with_the_one_who_asked():
    ends, starts = os.pipe()
    process = subprocess.Popen([sys.executable, "-I", "-S", small.__file__], stdin=ends)
    os.close(ends)
    os.close(starts)
    assert process.wait(10) == 0


def test_ctrl_c_is_not_for_a_reading_process():
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", small.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert workers._ask(process, ("rows", ([],))) == []  # it has started
        process.send_signal(signal.SIGINT)
        assert workers._ask(process, ("rows", (["/nowhere"],))) == [None]


def test_a_file_that_changes_while_it_is_read_is_left_to_the_long_way(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_text("x")
    real = os.read

    def read(file: int, count: int) -> bytes:
        data = real(file, count)
        path.write_text("longer")
        return data

    monkeypatch.setattr(os, "read", read)
    assert small.rows([str(path)]) == [None]


# --- the cache of objects ---------------------------------------------------------------------


def test_many_files_go_into_the_cache_and_come_back(many, tmp_path):
    objects = Objects(tmp_path / "cache")
    found = objects.put(many)
    assert found.listing == listing_of(many)
    assert found.digest == fresh(many, tmp_path).of(many)
    for path in (tmp_path / "cache/files/md5").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            assert path.parent.name + path.name == md5(path.read_bytes())
            assert path.stat().st_mode & 0o777 == 0o444
    objects.checkout(found.digest, tmp_path / "out")
    assert listing_of(tmp_path / "out") == listing_of(many)
    assert not list((tmp_path / "cache/files/.mlbuild").iterdir())


def test_many_known_files_are_stored_once_each(many, tmp_path):
    objects = Objects(tmp_path / "cache")
    listing = listing_of(many)
    digest = fresh(many, tmp_path).of(many)
    objects.put_tree(many, digest.md5, listing)
    assert objects.complete(digest.md5)
    before = {p: p.stat() for p in (tmp_path / "cache/files/md5").rglob("*") if p.is_file()}
    assert len(before) == 901
    objects.put_tree(many, digest.md5, listing)
    assert {p: p.stat() for p in before} == before


def test_one_of_many_that_changed_is_not_stored_under_its_old_name(many, tmp_path):
    objects = Objects(tmp_path / "cache")
    listing = listing_of(many)
    name = next(name for name, digest in listing.items() if digest == md5(b"7"))
    changed = {**listing, name: "0" * 32}
    with pytest.raises(DataError) as caught:
        objects.put_tree(many, "1" * 32 + ".dir", changed)
    assert caught.value.render() == f"{many}/{name} changed while it was stored\n  hint: run again"
    assert not objects.has("0" * 32)
    assert not children()  # though the error, which keeps its frames, is still known


def test_one_corrupt_object_of_many_is_found_and_taken_out(many, tmp_path):
    objects = Objects(tmp_path / "cache")
    digest = objects.put(many).digest
    bad = objects.path(md5(b"7"))
    bad.chmod(0o644)
    bad.write_text("8")
    with pytest.raises(DataError) as caught:
        objects.checkout(digest, tmp_path / "out")
    assert f"object {md5(b'7')} is corrupt and was removed" in str(caught.value)
    assert not bad.exists()
    assert not children()  # though the error, which keeps its frames, is still known


# --- large files ------------------------------------------------------------------------------


def big(path: Path, fill: bytes = b"a", size: int = LARGE) -> Path:
    path.write_bytes(fill * size)
    return path


@pytest.mark.parametrize("size", [LARGE - 1, LARGE, LARGE + 1, reading._PIPELINED + 5])
def test_a_large_files_digest_is_its_md5(tmp_path, size):
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    twins = Twins(tmp_path / "twins")
    assert reading.content_md5(str(path), twins) == md5(path.read_bytes())
    assert reading.content_md5(str(path), twins) == md5(path.read_bytes())
    assert reading.has_content(str(path), md5(path.read_bytes()), twins)
    assert not reading.has_content(str(path), "0" * 32, twins)


@pytest.fixture
def no_md5(monkeypatch):
    """From here on the MD5 of a large file's bytes is not taken: it must be known by its BLAKE3."""

    @contextlib.contextmanager
    def watch():
        def refuse(path: str, meter: object) -> None:
            raise AssertionError(f"the MD5 of {path} was taken again")

        with monkeypatch.context() as patch:
            patch.setattr(reading, "_both", refuse)
            yield

    return watch


CHANGES = {
    "a touch": lambda f: os.utime(f),
    "a copy in its place": lambda f: (shutil.copy(f, f"{f}.new"), os.replace(f"{f}.new", f)),
    "written again": lambda f: f.write_bytes(f.read_bytes()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_large_file_of_the_same_bytes_is_told_by_its_blake3(tmp_path, no_md5, change):
    path = big(tmp_path / "f")
    first = Digests(tmp_path / ".mlbuild", tmp_path)
    known = first.of(path)
    first.flush()
    CHANGES[change](path)
    with no_md5():
        assert Digests(tmp_path / ".mlbuild", tmp_path).of(path) == known


def test_a_large_file_at_another_place_is_told_by_its_blake3(tmp_path, no_md5):
    (tmp_path / "data").mkdir()
    first = Digests(tmp_path / ".mlbuild", tmp_path)
    known = first.of(big(tmp_path / "f"))
    first.flush()
    shutil.copy(tmp_path / "f", tmp_path / "data/g")
    with no_md5():
        found = Digests(tmp_path / ".mlbuild", tmp_path).listing(tmp_path / "data")
    assert found == {"g": known.md5}


def test_a_change_in_the_midst_of_a_large_file_is_seen(tmp_path):
    path = big(tmp_path / "f", size=LARGE + 9)
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    digests.of(path)
    digests.flush()
    with path.open("r+b") as file:
        file.seek(LARGE // 2)
        file.write(b"b")
    assert Digests(tmp_path / ".mlbuild", tmp_path).of(path).md5 == md5(path.read_bytes())


@pytest.mark.parametrize("damage", [b"", b"garbage", b"x" * 40])
def test_damaged_knowledge_of_twins_is_rebuilt_silently(tmp_path, damage):
    path = big(tmp_path / "f")
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    known = digests.of(path)
    digests.flush()
    file = tmp_path / ".mlbuild/digests/twins"
    file.write_bytes(damage)
    os.utime(path)
    again = Digests(tmp_path / ".mlbuild", tmp_path)
    assert again.of(path) == known
    again.flush()
    assert Twins(file).of_md5(known.md5) is not None


def test_two_who_learn_at_once_keep_what_both_learned(tmp_path):
    one, two = Twins(tmp_path / "twins"), Twins(tmp_path / "twins")
    assert not one.any_of(1) and not two.any_of(1)  # both have read what is there
    one.learn(1, "a", "x")
    two.learn(2, "b", "y")
    one.flush()
    two.flush()
    both = Twins(tmp_path / "twins")
    assert (both.md5("x"), both.md5("y")) == ("a", "b")


def test_another_version_of_the_knowledge_is_none(tmp_path, monkeypatch):
    twins = Twins(tmp_path / "twins")
    twins.learn(1, "a", "x")
    monkeypatch.setattr("mlbuild.store.twins._VERSION", 99)
    twins.flush()
    monkeypatch.undo()
    assert Twins(tmp_path / "twins").of_md5("a") is None


def test_a_large_result_is_stored_and_restored_by_its_blake3(tmp_path, no_md5):
    path = big(tmp_path / "f", size=2 * LARGE)
    objects = Objects(tmp_path / "cache")
    objects.twins = Twins(tmp_path / "twins")
    digest = objects.put(path).digest
    assert digest.md5 == md5(path.read_bytes())
    with no_md5():
        objects.checkout(digest, tmp_path / "g")
        other = Objects(tmp_path / "other")
        other.twins = objects.twins
        other.put_listed([(path, digest.md5)])
    assert (tmp_path / "g").read_bytes() == path.read_bytes()


def test_a_corrupt_large_object_is_found_by_its_blake3(tmp_path):
    objects = Objects(tmp_path / "cache")
    objects.twins = Twins(tmp_path / "twins")
    digest = objects.put(big(tmp_path / "f")).digest
    bad = objects.path(digest.md5)
    bad.chmod(0o644)
    with bad.open("r+b") as file:
        file.write(b"b")
    with pytest.raises(DataError) as caught:
        objects.checkout(digest, tmp_path / "g")
    assert f"object {digest.md5} is corrupt and was removed" in str(caught.value)
    assert not bad.exists()
    assert not (tmp_path / "g").exists()


def test_large_files_are_told_of_byte_by_byte(tmp_path, monkeypatch):
    monkeypatch.setattr("mlbuild.store.meter._QUIET_SECONDS", 0.0)
    monkeypatch.setattr("mlbuild.store.meter._BETWEEN_SECONDS", 0.0)
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    told: list[tuple[float, float | None, str]] = []
    digests.progress = lambda *what: told.append(what)
    digests.of(big(tmp_path / "f", size=3 * LARGE))
    assert [done for done, _, _ in told] == [LARGE, 2 * LARGE, 3 * LARGE]
    assert {total for _, total, _ in told} == {3 * LARGE}
    assert told[-1][2] == "reading f: 3 MB of 3 MB"


def test_what_takes_no_time_is_not_told(tmp_path):
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    told: list[float] = []
    digests.progress = lambda done, total, text: told.append(done)
    digests.of(big(tmp_path / "f"))
    assert told == []


def test_whoever_was_stopped_reads_no_further(tmp_path):
    meter = Meter(None, "", 1)
    meter.stop()
    with pytest.raises(InterruptedError):
        reading.content_md5(str(big(tmp_path / "f")), Twins(tmp_path / "twins"), meter)


def test_storing_a_dataset_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("mlbuild.store.meter._QUIET_SECONDS", 0.0)
    monkeypatch.setattr("mlbuild.store.meter._BETWEEN_SECONDS", 0.0)
    told: list[tuple[float, float | None, str]] = []
    (tmp_path / "data").mkdir()
    big(tmp_path / "data/large", size=2 * LARGE)
    (tmp_path / "data/small").write_text("x")
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    found = digests.of(tmp_path / "data")
    meter = Meter(lambda *what: told.append(what), "storing data", found.size)
    objects = Objects(tmp_path / "cache")
    objects.put_tree(tmp_path / "data", found.md5, digests.listing(tmp_path / "data"), meter)
    assert told[-1] == (found.size, found.size, "storing data: 2 MB of 2 MB")


def test_files_of_some_size_have_the_digests_of_their_bytes(tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(12):
        (tmp_path / f"data/{number}").write_bytes(bytes([number]) * (number << 14))
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    assert digests.listing(tmp_path / "data") == listing_of(tmp_path / "data")
