"""Two branches of one project, merged by git: well, in conflict, and badly by hand.

Whatever a merge leaves of the ledger, one plain `mlbuild run` puts it right, believes nothing that
does not belong together and builds nothing that the cache knows.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlbuild.records import Digest, Output, Stage, StageRecord
from mlbuild.store.ledger import lock_entry, record_of
from mlbuild.store.yaml12 import entry, load
from tests.conftest import ROOT, Done

Run = Callable[..., Done]

LEDGER = ("dvc.lock", "dvc.yaml", "pipelines/p-lock.json")
NAMES = "abcdef"


def pipeline_text(names: str) -> str:
    rows = [
        f'  {n}: {{run: "cat ${{{{ inputs.i }}}} > ${{{{ outputs.o }}}}", inputs: {{i: ./src/{n}}},'
        f" outputs: {{o: out/{n}.txt}}}}\n"
        for n in names
    ]
    return f"version: 1\nname: p\nstages:\n{''.join(rows)}"


def git(root: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    settings = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "merge.conflictStyle=merge")
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def dvc_status() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status"], capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr


def run_there(root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT), "CI": "true"}
    argv = [sys.executable, "-m", "mlbuild", "run", "pipelines/p.yaml"]
    done = subprocess.run(
        argv, cwd=root, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def save(root: Path, branch: str, names: str, **sources: str) -> None:
    """On a branch off the trunk: changes sources, builds, commits."""
    git(root, "checkout", "-q", "-b", branch, "trunk")
    (root / "pipelines/p.yaml").write_text(pipeline_text(names))
    for name, text in sources.items():
        (root / "src" / name).write_text(text)
    run_there(root)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", branch)


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trunk of six stages; branches that change `b`, `e`, and `b` otherwise, or add stages."""
    root = tmp_path_factory.mktemp("merged") / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / "src").mkdir()
    subprocess.run(["git", "init", "-q", "-b", "trunk", "."], cwd=root, check=True)
    for name in NAMES + "AZ":
        (root / "src" / name).write_text(f"{name}\n")
    (root / "pipelines/p.yaml").write_text(pipeline_text(NAMES))
    run_there(root)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "trunk")
    save(root, "changes-b", NAMES, b="one\n")
    save(root, "changes-e", NAMES, e="one\n")
    save(root, "changes-b-too", NAMES, b="two\n")
    save(root, "adds-at-the-top", f"A{NAMES}")
    save(root, "adds-at-the-bottom", f"{NAMES}Z")
    return root


@pytest.fixture
def merge(
    branches: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], int]:
    """Merges the second branch into the first, in a copy; returns git's exit code."""

    def go(ours: str, theirs: str) -> int:
        shutil.rmtree(project)
        shutil.copytree(branches, project, symlinks=True)
        monkeypatch.chdir(project)
        git(project, "checkout", "-q", ours)
        return git(project, "merge", "-q", "--no-edit", theirs, check=False).returncode

    return go


def check_right(project: Path, mlbuild: Run, may_run: frozenset[str] = frozenset()) -> Done:
    """One plain run, after which all is as if nobody had merged anything."""
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0, done.out + done.err
    ran = {stage for stage, outcome in done.outcomes.items() if outcome == "ran"}
    assert ran == may_run
    for stage in done.outcomes:
        source = (project / "src" / stage).read_text()
        assert (project / f"out/{stage}.txt").read_text() == source, stage
    for file in LEDGER:
        text = (project / file).read_text()
        assert "<<<<<<<" not in text
        keys = re.findall(r"^  (\S+):$", text, re.M)
        assert len(keys) == len(set(keys)), f"{file}: a block stands there twice"
    assert "up to date" in dvc_status()
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert set(again.outcomes.values()) == {"reused"}
    return done


def test_branches_that_change_different_stages_merge_without_a_conflict(
    project: Path, merge: Callable[[str, str], int], mlbuild: Run
) -> None:
    assert merge("changes-b", "changes-e") == 0
    lock = (project / "dvc.lock").read_bytes()
    check_right(project, mlbuild)
    assert (project / "dvc.lock").read_bytes() == lock, "the merge was right already"


def blocks_in_conflict(file: Path) -> set[str]:
    found, name, inside = set(), "", False
    for line in file.read_text().splitlines():
        name = match[1] if (match := re.match(r'^  "?([^\s"]+)"?:( \{.*)?$', line)) else name
        inside = not line.startswith(">>>>>>>") if line[:7] in ("<<<<<<<", ">>>>>>>") else inside
        if inside:
            found.add(name)
    return found


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_stage_changed_on_both_branches_is_a_conflict_in_its_own_block_alone(
    project: Path, merge: Callable[[str, str], int], mlbuild: Run, side: str
) -> None:
    assert merge("changes-b", "changes-b-too") == 1
    assert blocks_in_conflict(project / "dvc.lock") == {"p-b"}
    assert blocks_in_conflict(project / "pipelines/p-lock.json") == {"p-b"}
    git(project, "checkout", f"--{side}", "src/b")
    check_right(project, mlbuild)


def test_stages_added_on_both_branches_are_all_there_and_none_is_built_again(
    project: Path, merge: Callable[[str, str], int], mlbuild: Run
) -> None:
    merge("adds-at-the-top", "adds-at-the-bottom")
    assert "<<<<<<<" in (project / "dvc.yaml").read_text()
    assert "<<<<<<<" not in (project / "pipelines/p.yaml").read_text()
    done = check_right(project, mlbuild)
    assert done.outcomes.keys() == set(f"A{NAMES}Z")


def test_what_only_the_other_branch_built_is_found_in_the_conflict_itself(
    project: Path, merge: Callable[[str, str], int], mlbuild: Run
) -> None:
    """No run cache, no build record: the objects and the two sides of the lock are enough."""
    merge("changes-b", "changes-b-too")
    git(project, "checkout", "--theirs", "src/b")
    shutil.rmtree(project / ".mlbuild")
    shutil.rmtree(project / ".dvc/cache/runs")
    check_right(project, mlbuild)


def block(text: str, name: str) -> str:
    yaml = rf"  {name}:\n(?:    .*\n|  - .*\n)+"
    json = rf'  "{name}": \{{\n(?:   .*\n)+  \}},\n'
    (found,) = re.findall(rf"(?:^|(?<=\n))(?:{yaml}|{json})", text)
    return str(found)


def both_sides(project: Path, file: str) -> None:
    """Resolved by deleting the markers alone."""
    path = project / file
    whole = re.sub(r"^(<<<<<<<|=======|>>>>>>>).*\n", "", path.read_text(), flags=re.M)
    path.write_text(whole)


def twice(project: Path, file: str) -> None:
    """Resolved by keeping the whole block of either side."""
    ours = git(project, "show", f"changes-b:{file}").stdout
    theirs = git(project, "show", f"changes-b-too:{file}").stdout
    (project / file).write_text(ours + block(theirs, "p-b"))


def missing(project: Path, file: str) -> None:
    """Resolved by deleting the block, and two more."""
    text = git(project, "show", f"changes-b:{file}").stdout
    for name in ("p-b", "p-c", "p-f"):
        text = text.replace(block(text, name), "")
    (project / file).write_text(text)


def theirs_only(project: Path, file: str) -> None:
    """dvc.lock of the other branch, pins of this one."""
    side = "changes-b-too" if file == "dvc.lock" else "changes-b"
    (project / file).write_text(git(project, "show", f"{side}:{file}").stdout)


def nothing(project: Path, file: str) -> None:
    (project / file).unlink()


BAD = [both_sides, twice, missing, theirs_only, nothing]


@pytest.mark.parametrize("resolve", BAD)
@pytest.mark.parametrize("side", ["ours", pytest.param("theirs", marks=pytest.mark.slow)])
def test_a_bad_resolution_is_repaired_and_nothing_is_built_again(
    project: Path,
    merge: Callable[[str, str], int],
    mlbuild: Run,
    resolve: Callable[[Path, str], None],
    side: str,
) -> None:
    merge("changes-b", "changes-b-too")
    git(project, "checkout", f"--{side}", "src/b")
    for file in LEDGER:
        resolve(project, file)
    shutil.rmtree(project / ".mlbuild")
    check_right(project, mlbuild)


@pytest.mark.parametrize("known", [True, False], ids=["in the run cache", "nowhere else"])
def test_a_key_with_the_outputs_of_the_other_branch_is_not_believed(
    project: Path, merge: Callable[[str, str], int], mlbuild: Run, known: bool
) -> None:
    """The worst of all merges: it reads as if stage `b` had made what it never made."""
    merge("changes-b", "changes-b-too")
    git(project, "checkout", "--ours", "src/b")
    for file in LEDGER:
        (project / file).write_text(git(project, "show", f"changes-b:{file}").stdout)
    lock, other = (
        git(project, "show", f"{branch}:dvc.lock").stdout
        for branch in ("changes-b", "changes-b-too")
    )
    ours, theirs = (block(text, "p-b").partition("    outs:\n")[2] for text in (lock, other))
    assert ours != theirs
    (project / "dvc.lock").write_text(lock.replace(ours, theirs))
    (project / "out/b.txt").unlink()
    shutil.rmtree(project / ".mlbuild")
    if not known:
        shutil.rmtree(project / ".dvc/cache/runs")
    done = check_right(project, mlbuild, frozenset() if known else frozenset("b"))
    assert done.outcomes["b"] == ("restored" if known else "ran")


def test_a_poisoned_entry_of_the_run_cache_is_not_believed(
    project: Path, merge: Callable[[str, str], int], mlbuild: Run
) -> None:
    """The same lie in a file of the run cache, which may come from a remote."""
    merge("changes-b", "changes-e")
    files = [p for p in (project / ".dvc/cache/runs").rglob("*") if p.is_file()]
    lock = (project / "dvc.lock").read_text()
    a, b = (block(lock, f"p-{name}").split("md5: ")[-1].split()[0].strip("'") for name in "ab")
    for file in files:
        text = file.read_text()
        head, outs, tail = text.partition('"outs"')
        file.chmod(0o644)
        file.write_text(head + outs + tail.replace(a, b))
    (project / "out/a.txt").unlink()
    shutil.rmtree(project / ".mlbuild")
    (project / "dvc.lock").write_text(lock.replace(block(lock, "p-a"), ""))
    done = check_right(project, mlbuild, frozenset("a"))
    assert done.outcomes["a"] == "ran"


def test_a_conflict_in_what_the_user_wrote_into_dvc_yaml_is_the_users(
    project: Path, merge: Callable[[str, str], int], mlbuild: Run
) -> None:
    merge("changes-b", "changes-e")
    file = project / "dvc.yaml"
    text = file.read_text()
    mine = "<<<<<<< HEAD\n  mine:\n    cmd: one\n=======\n  mine:\n    cmd: two\n>>>>>>> x\n"
    file.write_text(text + mine)
    (project / "src/a").write_text("new\n")
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 4
    assert (
        "dvc.yaml has a merge conflict in what is not mlbuild's\n"
        "  hint: resolve it by hand: stages with `meta: {mlbuild: 1}` may stay as on either side, "
        "the next run writes them anew\n"
    ) in done.err
    assert file.read_text() == text + mine
    file.write_text(text + "  mine:\n    cmd: one\n" * 2)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 4
    assert "dvc.yaml has two stages 'mine'\n  hint: keep one of them, then run again" in done.err
    file.write_text(text + "  mine:\n    cmd: echo mine\n")
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.outcomes["a"] == "reused", "what was built before the ledger failed is kept"
    assert file.read_text() == text + "  mine:\n    cmd: echo mine\n"


def test_frozen_datasets_of_both_branches_survive_a_conflict(
    project: Path, merge: Callable[[str, str], int]
) -> None:
    from mlbuild.store.project import Store

    (project / "pipelines/p-lock.json").write_text(
        '{\n"version": 1,\n"datasets": {\n'
        '<<<<<<< HEAD\n  "both": {\n   "md5": "b"\n  },\n  "mine": {\n   "md5": "a"\n  },\n'
        '=======\n  "both": {\n   "md5": "d"\n  },\n  "yours": {\n   "md5": "c"\n  },\n'
        '>>>>>>> x\n  "": {}\n},\n"stages": {\n  "": {}\n}\n}\n'
    )
    store = Store.open(project, "p", project / "pipelines/p.yaml")
    assert store.datasets_frozen() == {
        "mine": {"md5": "a"},
        "both": {"md5": "b"},
        "yours": {"md5": "c"},
    }


# --- the seal ------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=4,
)
digests = st.builds(
    Digest,
    st.integers(0, 16**32 - 1).map("{:032x}".format),
    st.integers(0, 9),
    isexec=st.booleans(),
)


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.text("ab_-. 1", max_size=5), values, max_size=4), digests, digests)
@example({"a": "\x85 \u2028\n\ttext\\n"}, Digest("a" * 32), Digest("b" * 32))
def test_a_seal_survives_yaml_and_breaks_with_any_part_of_the_record(
    params: dict[str, object], one: Digest, two: Digest
) -> None:
    stage = Stage("a", "a", command="cp", outputs=(Output("o", "a.txt"), Output("p", "b.txt")))
    record = StageRecord("k" * 64, {"params": params}, {"o": one, "p": two})
    found = load(entry("p-a", lock_entry(stage, record, {}, ("p.yaml", "p-lock.json"), "p-a")))
    assert record_of(found["p-a"]) == ("a", record)
    first, second = found["p-a"]["outs"]
    first["md5"], second["md5"] = second["md5"], first["md5"]
    assert (record_of(found["p-a"]) is None) == (one.md5 != two.md5)
