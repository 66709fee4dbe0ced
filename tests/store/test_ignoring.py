import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbuild.errors import DataError
from mlbuild.store.cache import Objects
from mlbuild.store.digests import Digests
from mlbuild.store.ignoring import Ignore

NAMES = st.sampled_from(["a", "b", "ab", "a.tmp", "b.log", "sub", "deep", ".hidden"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERNS = st.sampled_from(
    [
        *(
            "*.tmp",
            "*.log",
            "a",
            "/a",
            "a/",
            "sub/",
            "/data/sub/",
            "data/*.tmp",
            "**/deep",
            "deep/**",
        ),
        *("data/sub/b.log", "/data/*/a", "?b", "[ab]", "!a", "!*.log", "!sub/", "!/data/sub/a"),
        *(".hidden", "*", "!*", "# nothing", "", "  a  ", r"\#a", r"\!a", "sub/a", "!sub/a", "**"),
        *("a b", "data/**/a", "*/", "/*/", "b*"),
    ]
)
RULES = st.lists(PATTERNS, max_size=4).map("\n".join)


def digest_of(folder: Path, root: Path):
    found = Digests(root / ".mlbuild", root).of(folder)
    return found.md5, found.size, found.nfiles


def by_dvc(folder: Path, root: Path):
    from dvc.fs import LocalFileSystem
    from dvc.ignore import DvcIgnoreFilter
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db.local import LocalHashFileDB

    fs = LocalFileSystem()
    odb = LocalHashFileDB(fs, str(root / "odb"))
    ignore = DvcIgnoreFilter(fs, str(root))
    _, meta, tree = build(odb, str(folder), fs, "md5", ignore=ignore)
    return tree.hash_info.value, meta.size, meta.nfiles


@settings(max_examples=80, deadline=None)
@given(
    st.lists(PATHS, min_size=1, max_size=9),
    RULES,
    st.dictionaries(st.sampled_from(["data", "data/sub"]), RULES, max_size=2),
)
def test_a_folders_digest_is_the_one_that_dvc_computes(tmp_path_factory, files, rules, outer):
    root = tmp_path_factory.mktemp("tree")
    data = root / "data/sub/deep"
    data.mkdir(parents=True)
    for number, name in enumerate(files):
        path = data / name
        if not any(p.is_file() for p in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(number))
    (root / ".dvcignore").write_text(rules)
    for folder, text in outer.items():
        (root / folder / ".dvcignore").write_text(text)
    if Ignore(str(root)).below(str(data)):
        assert digest_of(data, root) == by_dvc(data, root)
    else:  # DVC cannot track what it is told to ignore; as an input it counts whole
        assert digest_of(data, root)[2] == sum(p.is_file() for p in data.rglob("*"))
    shutil.rmtree(root)


@pytest.mark.slow
def test_dvc_itself_finds_a_dataset_with_ignored_files_clean(make_project):
    project = make_project()
    project.dvc("init", "-q")
    (project.root / ".dvcignore").write_text("*.tmp\n")
    (project.root / "data/dogs").mkdir(parents=True)
    for name in ("1.jpg", "2.jpg", "x.tmp"):
        (project.root / "data/dogs" / name).write_text(name)
    store = project.store()
    store.add_dataset("data/dogs")
    assert "nfiles: 2" in project.text("data/dogs.dvc")
    assert "up to date" in project.dvc("status")
    assert len([p for p in (project.root / ".dvc/cache/files/md5").rglob("*") if p.is_file()]) == 3


def test_a_result_is_stored_without_what_is_ignored_where_it_will_lie(tmp_path):
    (tmp_path / "work/out").mkdir(parents=True)
    for name in ("kept", "x.tmp", "work"):
        (tmp_path / "work/out" / name).write_text(name)
    (tmp_path / ".dvcignore").write_text("*.tmp\n/build/out/work\n/work/\n")
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    objects = Objects(tmp_path / "cache")
    place = tmp_path / "build/out"
    found = objects.put(tmp_path / "work/out", digests.ignore(), place)
    assert found.listing is not None
    assert list(found.listing) == ["kept"]
    (tmp_path / "build").mkdir()
    (tmp_path / "work/out").rename(place)
    digests.learn(place, found.digest, found.listing)
    assert digests.of(place) == found.digest
    assert digest_of(place, tmp_path)[0] == found.digest.md5


@pytest.mark.parametrize("where", [".dvcignore", "data/.dvcignore", "data/sub/.dvcignore"])
def test_every_file_that_may_hold_rules_is_watched(tmp_path, where):
    (tmp_path / "data/sub/deep").mkdir(parents=True)
    (tmp_path / "data/sub/deep/f").write_text("x")
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    digests.of(tmp_path / "data/sub/deep")
    assert digests.seen[str(tmp_path / where)] is None
    (tmp_path / where).write_text("f\n")
    again = Digests(tmp_path / ".mlbuild", tmp_path)
    assert again.of(tmp_path / "data/sub/deep").nfiles == 0
    assert again.seen[str(tmp_path / where)] is not None


def test_rules_are_still_watched_when_the_folder_around_them_was_forgotten(tmp_path):
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/f").write_text("x")
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    digests.of(tmp_path / "data/sub")
    digests.forget(tmp_path / "data")
    (tmp_path / "data/.dvcignore").write_text("f\n")
    assert digests.of(tmp_path / "data/sub").nfiles == 0
    assert digests.seen[str(tmp_path / "data/.dvcignore")] is not None


def test_a_rule_that_changes_while_it_is_read_is_noticed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/f").write_text("x")
    (tmp_path / ".dvcignore").write_text("f\n")
    digests = Digests(tmp_path / ".mlbuild", tmp_path)
    digests.of(tmp_path / "data")
    (tmp_path / ".dvcignore").write_text("g\n")
    assert not digests.settle()


def test_an_ignored_pipe_or_dangling_link_is_no_error(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/gone.tmp").symlink_to("nowhere")
    (tmp_path / ".dvcignore").write_text("*.tmp\n")
    assert digest_of(tmp_path / "data", tmp_path)[2] == 0


def test_rules_do_not_count_outside_the_project(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/.dvcignore").write_text("*\n")
    (tmp_path / "far").mkdir()
    (tmp_path / "far/f").write_text("x")
    assert digest_of(tmp_path / "far", tmp_path / "root")[2] == 1


def test_rules_that_are_no_text_are_an_error(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / ".dvcignore").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError) as caught:
        digest_of(tmp_path / "data", tmp_path)
    assert caught.value.render() == (
        f"{tmp_path}/.dvcignore is not text: DVC reads it as UTF-8\n  hint: correct or remove it"
    )


def test_a_pattern_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / ".dvcignore").write_text("!\n")
    with pytest.raises(DataError) as caught:
        digest_of(tmp_path / "data", tmp_path)
    assert str(caught.value).startswith(".dvcignore: pattern '!' cannot be read: ")


def test_a_folder_in_the_place_of_the_rules_is_an_error(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / ".dvcignore").mkdir()
    with pytest.raises(DataError) as caught:
        digest_of(tmp_path / "data", tmp_path)
    assert str(caught.value) == f"reading failed: {tmp_path}/.dvcignore: Is a directory"


@pytest.mark.parametrize(("text", "imported"), [("# a comment\n", False), ("*.tmp\n", True)])
def test_patterns_are_imported_only_where_there_are_some(tmp_path, text, imported):
    (tmp_path / "data").mkdir()
    (tmp_path / ".dvcignore").write_text(text)
    code = (
        "import sys; from pathlib import Path; from mlbuild.store.digests import Digests\n"
        f"root = Path({str(tmp_path)!r}); Digests(root / '.mlbuild', root).of(root / 'data')\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'pathspec', 'dvc'}))"
    )
    src = str(Path(__file__).parents[2])
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": src}
    )
    assert out.stdout == ("['pathspec']\n" if imported else "[]\n"), out.stderr
