from pathlib import Path

import pytest

from mlbuild.records import Digest, StageRecord
from mlbuild.store.record import BuildRecord


def record(key: str, md5: str = "1" * 32) -> StageRecord:
    return StageRecord(key, {"kind": "a/b", "params": {"x": 1.5}}, {"o": Digest(md5, 3)})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "build" / "p.log"


def test_what_was_recorded_is_read_back(file):
    known = BuildRecord(file)
    known.append("s[a=1]", record("k1"), {"o": "out/s"})
    known.append("t", record("k2"), {"o": "out/t"})
    again = BuildRecord(file)
    assert again.get("s[a=1]") == (record("k1"), {"o": "out/s"})
    assert again.with_key("k2") == record("k2")
    assert [again.put_there(p) for p in ("out/s", "out/t")] == ["1" * 32, "1" * 32]
    assert again.put_there("out/u") is None
    assert again.uncommitted == {"s[a=1]", "t"}


def test_the_last_line_of_a_stage_wins(file):
    known = BuildRecord(file)
    known.append("s", record("k1"), {"o": "out/s"})
    known.append("s", record("k2", "2" * 32), {"o": "out/s"})
    again = BuildRecord(file)
    assert again.get("s").record.key == "k2"
    assert again.put_there("out/s") == "2" * 32


@pytest.mark.parametrize("cut", range(2, 60, 7))
def test_a_torn_last_line_loses_itself_only(file, cut):
    known = BuildRecord(file)
    known.append("s", record("k1"), {"o": "out/s"})
    known.append("t", record("k2"), {"o": "out/t"})
    file.write_bytes(file.read_bytes()[:-cut])
    again = BuildRecord(file)
    assert again.get("s") is not None
    assert again.get("t") is None
    again.append("t", record("k3"), {"o": "out/t"})
    assert BuildRecord(file).get("t").record.key == "k3"


def test_a_damaged_line_loses_itself_only(file):
    known = BuildRecord(file)
    for name in "stu":
        known.append(name, record(name), {"o": name})
    lines = file.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"a/b", b"a/c")
    file.write_bytes(b"\n".join(lines))
    again = BuildRecord(file)
    assert [again.get(n) is not None for n in "stu"] == [True, False, True]


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"garbage\n\nmore", b"00000000 []\n"])
def test_garbage_is_dropped_silently(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    assert list(BuildRecord(file).stages()) == []


def test_an_unknown_version_is_dropped_silently(file, monkeypatch):
    monkeypatch.setattr("mlbuild.store.record._VERSION", 99)
    BuildRecord(file).append("s", record("k"), {"o": "o"})
    monkeypatch.undo()
    assert BuildRecord(file).get("s") is None


def test_recording_the_same_again_writes_nothing(file):
    known = BuildRecord(file)
    known.append("s", record("k"), {"o": "o"})
    size = file.stat().st_size
    known.append("s", record("k"), {"o": "o"})
    assert file.stat().st_size == size


def test_a_commit_settles_what_was_recorded(file):
    known = BuildRecord(file)
    known.append("s", record("k"), {"o": "o"})
    known.commit({"files": [1]}, ["s"])
    again = BuildRecord(file)
    assert (again.committed, again.uncommitted) == ({"files": [1]}, set())


def test_history_is_tidied_away(file):
    known = BuildRecord(file)
    for i in range(100):
        known.append("s", record(f"k{i}"), {"o": "o"})
    known.append("gone", record("g"), {"o": "g"})
    known.commit({}, ["s"])
    assert len(file.read_bytes().splitlines()) == 3
    again = BuildRecord(file)
    assert (again.get("s").record.key, again.get("gone")) == ("k99", None)
    assert again.uncommitted == set()


def test_one_line_is_written_for_each_stage(file):
    known = BuildRecord(file)
    known.append("s", record("k"), {"o": "o"})
    sizes = []
    for i in range(200):
        before = file.stat().st_size
        known.append(f"s{i:03}", record(f"k{i:03}"), {"o": "o"})
        sizes.append(file.stat().st_size - before)
    assert len(set(sizes)) == 1
