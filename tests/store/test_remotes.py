"""Remotes as mlbuild sees them: which one is meant, what it holds, what if it breaks off."""

import os
from pathlib import Path

import pytest

from mlbuild.records import Digest, StageRecord
from mlbuild.store.cache import Objects
from mlbuild.store.pushing import Cargo, Entry, Push
from mlbuild.store.remotes import Cloud
from mlbuild.store.runs import RunCache, run_key
from mlbuild.store.team import Suspects, Team
from mlbuild.store.transport import (
    AbsentError,
    Folder,
    RemoteError,
    in_parallel,
    open_remote,
    unusable,
)
from tests.team import broken_promises, config, entries, folder_remote

# --- which one is meant -------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    config(tmp_path / "project", "")
    return tmp_path / "project"


def _top(root: Path, name: str | None = None) -> Path:
    found = open_remote(root, name)
    assert isinstance(found, Folder)
    return found._top


def test_without_a_default_there_is_no_remote(root: Path) -> None:
    assert open_remote(root) is None


def test_a_path_starts_at_the_file_that_names_it(root: Path) -> None:
    config(root, folder_remote(Path("../../storage")))
    assert _top(root) == root.parent / "storage"


def test_local_settings_win_over_those_of_the_repository(root: Path) -> None:
    config(root, folder_remote(Path("/first")))
    (root / ".dvc/config.local").write_text("['remote \"r\"']\n    url = /second\n")
    assert _top(root) == Path("/second")


def test_the_users_own_settings_count(root: Path) -> None:
    place = Path(os.environ["DVC_GLOBAL_CONFIG_DIR"])
    place.mkdir(parents=True)
    (place / "config").write_text(folder_remote(Path("shared")))
    try:
        assert _top(root) == place / "shared"
    finally:
        (place / "config").unlink()


def test_a_remote_may_be_named(root: Path) -> None:
    config(root, folder_remote(Path("/first")) + "['remote \"Other\"']\n    url = ~/other\n")
    assert _top(root, "other") == Path.home() / "other"


@pytest.mark.parametrize(
    "line",
    ["url = {0}  # ours", "url = '{0}'\n    verify = true"],
    ids=["a comment", "a setting of DVC's"],
)
def test_what_only_dvc_understands_is_left_to_dvc(root: Path, tmp_path: Path, line: str) -> None:
    text = line.format(tmp_path / "storage")
    config(root, f"[core]\n    remote = r\n['remote \"r\"']\n    {text}\n")
    remote = open_remote(root)
    assert isinstance(remote, Cloud)
    _holds_files(remote, tmp_path)
    assert (tmp_path / "storage/files/md5/ab/c").read_text() == "longer content"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("url = nonsense://x", "Unsupported URL type nonsense://"),
        ("url = s3://b/x\n    version_aware = true", "cloud-versioned remotes cannot hold"),
        ("url = s3://b/x\n    colour = red", "extra keys not allowed"),
    ],
)
def test_a_remote_that_dvc_cannot_use_is_an_error(root: Path, text: str, why: str) -> None:
    config(root, f"[core]\n    remote = r\n['remote \"r\"']\n    {text}\n")
    with pytest.raises(RemoteError) as caught:
        open_remote(root)
    assert caught.value.render().startswith("the DVC remote 'r' cannot be used: ")
    assert why in str(caught.value)


# --- what it holds ------------------------------------------------------------------------------


def _holds_files(remote: Folder | Cloud, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("content")
    assert remote.size("files/md5/ab/c") is None
    assert remote.names("runs/ab") == []
    with pytest.raises(AbsentError):
        remote.download("files/md5/ab/c", target)
    assert not target.exists()
    remote.upload(source, "files/md5/ab/c")
    remote.upload(source, "runs/ab/key/value")
    assert remote.size("files/md5/ab/c") == 7
    assert remote.names("runs/ab/key") == ["value"]
    remote.download("files/md5/ab/c", target)
    assert target.read_text() == "content"
    source.write_text("longer content")
    remote.upload(source, "files/md5/ab/c")
    assert remote.size("files/md5/ab/c") == 14
    with pytest.raises(FileNotFoundError):
        remote.upload(tmp_path / "nothing", "files/md5/ab/d")


def test_a_folder_holds_files(tmp_path: Path) -> None:
    _holds_files(Folder("r", tmp_path / "storage"), tmp_path)
    found = tmp_path / "storage/files/md5/ab/c"
    assert found.stat().st_mode & 0o777 == 0o444
    assert list((tmp_path / "storage/.mlbuild").iterdir()) == []


def test_a_shared_folder_is_open_to_the_group(tmp_path: Path) -> None:
    _holds_files(Folder("r", tmp_path / "storage", shared=True), tmp_path)
    assert (tmp_path / "storage/runs/ab/key").stat().st_mode & 0o7777 == 0o2775
    assert (tmp_path / "storage/runs/ab/key/value").stat().st_mode & 0o777 == 0o664


def test_what_a_killed_push_left_is_swept_after_a_day(tmp_path: Path) -> None:
    left = tmp_path / "storage/.mlbuild"
    left.mkdir(parents=True)
    (left / "old").touch()
    (left / "new").touch()
    os.utime(left / "old", (0, 0))
    (tmp_path / "source").touch()
    Folder("r", tmp_path / "storage").upload(tmp_path / "source", "files/md5/ab/c")
    assert [p.name for p in left.iterdir()] == ["new"]


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "storage").touch()
    with pytest.raises(RemoteError) as caught:
        Folder("r", tmp_path / "storage").upload(tmp_path / "storage", "runs/ab/c")
    assert str(caught.value).startswith("the DVC remote 'r' cannot be used: ")


# --- many at once -------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 4])
def test_results_come_in_the_order_of_the_items(jobs: int) -> None:
    told: list[int] = []
    assert in_parallel(lambda n: n * n, range(20), jobs, told.append) == [n * n for n in range(20)]
    assert sorted(told) == list(range(20))


def test_after_a_failure_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise unusable("r", "gone")

    with pytest.raises(RemoteError):
        in_parallel(work, range(1000), 2)
    assert len(begun) <= 2  # what was under way


# --- a push that breaks off ---------------------------------------------------------------------


class Breaking(Folder):
    """A remote that is lost after so many uploads, in the middle of the next one if ``torn``."""

    def __init__(self, top: Path, after: int, torn: bool) -> None:
        super().__init__("r", top)
        self._left, self._torn = after, torn

    def upload(self, source: Path, path: str) -> None:
        if self._left == 0:
            if self._torn:  # an object store never shows half a file, but ssh may
                (self._top / path).parent.mkdir(parents=True, exist_ok=True)
                (self._top / path).write_bytes(source.read_bytes()[:-1])
            raise unusable(self.name, "connection lost")
        self._left -= 1
        super().upload(source, path)


@pytest.fixture
def cargo(tmp_path: Path) -> tuple[Objects, Cargo]:
    """Two results: a folder of three files, one of them in both, and a file."""
    objects, runs = Objects(tmp_path / "cache"), RunCache(tmp_path / "cache")
    outputs: dict[str, str] = {}
    found: list[Entry] = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        for inner in ("one", "two"):
            (folder / inner).write_text(f"{name} {inner}\n")
        (folder / "same").write_text("the same\n")
        (tmp_path / f"{name}.txt").write_text(f"file of {name}\n")
        digests = {
            "o": objects.put(folder).digest,
            "f": objects.put(tmp_path / f"{name}.txt").digest,
        }
        runs.add(name, _entry(name, digests))
        outputs |= {digest.md5: f"{name}.{out}" for out, digest in digests.items()}
        (file,) = (tmp_path / "cache/runs").glob(f"??/{run_key(name)}/*")
        found.append(Entry(file, frozenset(d.md5 for d in digests.values())))
    return objects, Cargo(outputs, found)


def _entry(key: str, outputs: dict[str, Digest]) -> dict[str, object]:
    pin = {"stage": key, "key": key, "paths": {name: f"out/{name}" for name in outputs}}
    outs = [
        {"path": f"out/{name}", "hash": "md5", "md5": d.md5, "size": d.size}
        for name, d in outputs.items()
    ]
    return {"cmd": "x", "params": {"p.lock.yaml": {f"stages.{key}": pin}}, "outs": outs}


@pytest.mark.parametrize("torn", [False, True], ids=["between files", "in a file"])
def test_wherever_a_push_breaks_off_nothing_is_promised_and_the_next_one_goes_on(
    tmp_path: Path, cargo: tuple[Objects, Cargo], torn: bool
) -> None:
    objects, wanted = cargo
    files = 5 + 2 + 2 + 2  # contents, single files, listings, entries
    for after in range(files):
        top = tmp_path / f"remote{after}"
        suspects = Suspects(tmp_path / "suspects")
        with pytest.raises(RemoteError):
            Push(Breaking(top, after, torn), objects, suspects, jobs=1).send(wanted)
        if not torn:
            assert broken_promises(top) == set()
        done = Push(Folder("r", top), objects, suspects, jobs=1).send(wanted)
        assert done.objects + done.entries == files - after
        assert len(entries(top)) == 2
        assert broken_promises(top) == set()
        _same(tmp_path / "cache", top)


def _same(cache: Path, top: Path) -> None:
    for file in [*cache.glob("files/md5/??/*"), *cache.glob("runs/??/*/*")]:
        assert (top / file.relative_to(cache)).read_bytes() == file.read_bytes()


def test_a_push_that_is_complete_sends_nothing(
    tmp_path: Path, cargo: tuple[Objects, Cargo]
) -> None:
    objects, wanted = cargo
    for expected in (9, 0):
        done = Push(Folder("r", tmp_path / "r"), objects, Suspects(tmp_path / "s")).send(wanted)
        assert done.objects == expected


def test_an_upload_is_told_as_it_goes(tmp_path: Path, cargo: tuple[Objects, Cargo]) -> None:
    objects, wanted = cargo
    told: list[tuple[float, float | None, str]] = []
    remote = Folder("r", tmp_path / "r")
    Push(remote, objects, Suspects(tmp_path / "s"), progress=lambda *row: told.append(row)).send(
        wanted
    )
    assert (9.0, 9.0, "looked for 9 of 9 objects on 'r'") in told
    assert told[-1][0] == told[-1][1]
    assert told[-1][2] == "sent 9 objects to 'r'"


# --- what comes back ----------------------------------------------------------------------------


@pytest.fixture
def team(tmp_path: Path, root: Path, cargo: tuple[Objects, Cargo]) -> Team:
    """A project with an empty cache, whose remote holds the cargo."""
    objects, wanted = cargo
    Push(Folder("r", tmp_path / "r"), objects, Suspects(tmp_path / "s")).send(wanted)
    config(root, folder_remote(tmp_path / "r"))
    cache = root / ".dvc/cache"
    return Team(root, root / ".mlbuild", Objects(cache), RunCache(cache), lambda md5: None)


def test_a_look_up_brings_records_and_a_fetch_their_objects(team: Team) -> None:
    assert team.lookup(["a", "unknown"]) == (frozenset({"a"}), ())
    (record,) = team.runs.find("a")
    fetched = team.fetch([record])
    assert (fetched.objects, fetched.missing, fetched.corrupt) == (5, frozenset(), frozenset())
    assert team.fetch([record]).objects == 0


def test_a_record_whose_digests_are_none_is_never_looked_for(team: Team, tmp_path: Path) -> None:
    (tmp_path / "r/outside").write_text("secret")
    record = StageRecord("k", {}, {"o": Digest("../../outside")})
    assert team.fetch([record]).objects == 0
    assert team.has([record]) == set()


def test_a_listing_that_leads_out_of_its_folder_is_not_kept(team: Team, tmp_path: Path) -> None:
    from mlbuild.fingerprint import listing_md5

    for rows in ([("../out", "0" * 32)], [("in", "../../../../etc/passwd")]):
        md5, data = listing_md5(rows)
        place = tmp_path / "r/files/md5" / md5[:2] / md5[2:]
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        fetched = team.fetch_objects([md5])
        assert fetched.corrupt == {md5}
        assert not list((tmp_path / "project/.dvc/cache/files/md5").glob("*/*"))


def test_what_was_corrupt_is_remembered_until_it_is_replaced(team: Team, tmp_path: Path) -> None:
    team.lookup(["a"])
    (record,) = team.runs.find("a")
    md5 = record.outputs["f"].md5
    place = tmp_path / "r/files/md5" / md5[:2] / md5[2:]
    place.chmod(0o644)
    place.write_text("file of b\n")
    assert team.fetch([record]).corrupt == {md5}
    assert team.suspects.all() == {md5}
    good = Objects(tmp_path / "cache")
    done = Push(Folder("r", tmp_path / "r"), good, team.suspects).send(Cargo({md5: "a.f"}, []))
    assert (done.objects, done.repaired) == (1, 1)
    assert team.suspects.all() == set()
    assert team.fetch([record]).corrupt == frozenset()


def test_a_suspect_that_cannot_be_replaced_is_not_promised(team: Team, tmp_path: Path) -> None:
    team.lookup(["a"])
    (record,) = team.runs.find("a")
    md5 = record.outputs["f"].md5
    team.suspects.add({md5})
    empty = Objects(tmp_path / "empty")
    done = Push(Folder("r", tmp_path / "r"), empty, team.suspects).send(Cargo({md5: "a.f"}, []))
    assert done.missing == ["a.f"]
    assert team.suspects.all() == {md5}
