"""What gc keeps and for whom, what it deletes, and that no moment to die leaves a false promise."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlbuild.errors import DataError, UsageError
from mlbuild.records import Digest
from mlbuild.store.cache import Objects
from mlbuild.store.gc import deletion
from mlbuild.store.gc.collect import Request, look, undisturbed
from mlbuild.store.gc.deletion import sweep
from mlbuild.store.gc.inventory import look_through
from mlbuild.store.gc.named import named
from mlbuild.store.gc.shared import unused
from mlbuild.store.gc.survey import Policy
from mlbuild.store.init import cache_settings
from mlbuild.toolchains import Toolchains

A, B, C = "a" * 32, "b" * 32 + ".dir", "c" * 32
WHO = {"GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "e@x", "GIT_CONFIG_GLOBAL": "/dev/null"}
WHO |= {"GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "e@x"}


def git(where, *arguments, code=0):
    done = subprocess.run(
        ["git", *arguments], cwd=where, env={**os.environ, **WHO}, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout.strip()


def collected(project, declared=None, more=(), **asked):
    """Everything that may go is deleted: what was found, and what was deleted."""
    request = Request(**{"keep_days": 0, "grace_hours": 0, **asked})
    found = look(project.root, request, declared, more)
    with undisturbed(found):
        return found, sweep(look(project.root, request, declared, more), found)


def commit(project, text="", message="m"):
    """Builds with that text in every result, and commits the ledger."""
    records = project.build(text=text)
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "--allow-empty", "-m", message)
    return {out.md5 for record in records.values() for out in record.outputs.values()}


def objects_of(project):
    return Objects(project.root / ".dvc" / "cache")


def alive(project, digests):
    return all(objects_of(project).complete(md5) for md5 in digests)


def gone(project, digests):
    return not any(objects_of(project).has(md5) for md5 in digests)


@pytest.fixture
def states(project):
    """A committed project on `main` with results "new", and what "old" and "new" have alone."""
    old = project.build(text="old")
    git(project.root, "symbolic-ref", "HEAD", "refs/heads/main")
    old = {o.md5 for r in old.values() for o in r.outputs.values()}
    new = commit(project, "new")
    return project, old - new, new


# --- what a file of the ledger names -----------------------------------------------------------

LOCK = f"""\
schema: '2.0'
stages:
  one:
    cmd: x
    deps:
    - path: in
      hash: md5
      md5: {C}
    outs:
    - path: out
      hash: md5
      md5: {A}
      size: 1
    - path: folder
      md5: {B}
"""


@pytest.mark.parametrize(
    ("name", "text", "digests"),
    [
        pytest.param("dvc.lock", LOCK, {A, B}, id="outputs and not dependencies"),
        pytest.param("dvc.lock", LOCK.rstrip("\n"), {A, B}, id="no newline at the end"),
        pytest.param("dvc.lock", LOCK.replace("\n", "\r\n"), {A, B}, id="ends of another system"),
        pytest.param(
            "dvc.lock",
            LOCK.replace("    outs:", "<<<<<<< HEAD\n    outs:"),
            {A, B, C},
            id="in a conflict everything counts",
        ),
        pytest.param(
            "dvc.lock",
            f"stages: {{one: {{outs: [{{path: o, md5: {A}}}]}}}}",
            {A},
            id="braces",
        ),
        pytest.param(
            "dvc.lock",
            f"stages:\n    one:\n        outs:\n        -   path: o\n            md5: '{A}'\n",
            {A},
            id="another indentation",
        ),
        pytest.param("x.dvc", f"outs:\n- md5: {B}\n  path: x\n", {B}, id="a dataset"),
        pytest.param(
            "x.dvc",
            f"deps:\n- md5: {C}\n  path: y\nouts:\n- md5: {B}\n  path: x\nmd5: {A}\n",
            {B},
            id="an import",
        ),
        pytest.param("dvc.lock", "", set(), id="empty"),
    ],
)
def test_a_file_of_the_ledger_names_its_outputs(name, text, digests) -> None:
    assert named(name, text) == digests


# --- who keeps what ----------------------------------------------------------------------------


def test_a_past_result_goes_and_what_the_checkout_names_stays(states) -> None:
    project, old, new = states
    found, done = collected(project)
    assert gone(project, old) and alive(project, new)
    assert (done.objects, done.results) == (len(found.caches[0].objects), 2)
    assert not look(project.root, Request(keep_days=0, grace_hours=0), None).caches[0].objects


def test_a_past_result_stays_for_the_days_that_were_asked_for(states) -> None:
    project, old, _ = states
    collected(project, keep_days=30)
    assert alive(project, old)
    for file in (project.root / ".dvc/cache/runs").rglob("*/*/*"):
        os.utime(file, (time.time() - 31 * 86_400,) * 2)
    found, _ = collected(project, keep_days=30)
    assert gone(project, old)
    assert {row.pipeline for row in found.caches[0].freed} == {"pipelines/p.yaml"}


def test_what_came_a_moment_ago_stays(states) -> None:
    project, old, _ = states
    collected(project, grace_hours=2)
    assert alive(project, old)


def _ahead(project, name):
    """A commit with results "ref", which only `name` will know."""
    git(project.root, "checkout", "-q", "--detach")
    digests = commit(project, "ref")
    return git(project.root, "rev-parse", "HEAD"), digests


REFS = {
    "branch": ("refs/heads/feature", "feature"),
    "remote branch": ("refs/remotes/origin/feature", "origin/feature"),
    "tag": ("refs/tags/some-tag", "some-tag"),
    "release": ("refs/tags/dogs@v1.2.0", "dogs@v1.2.0"),
    "ref": ("refs/exps/12/34/try", "refs/exps/12/34/try"),
}


@pytest.mark.parametrize("kind", REFS)
def test_whatever_git_has_a_name_for_keeps_its_results(states, kind) -> None:
    project, old, new = states
    ref, name = REFS[kind]
    tip, wanted = _ahead(project, name)
    git(project.root, "update-ref", ref, tip)
    git(project.root, "checkout", "-q", "main")
    shutil.rmtree(project.root / ".mlbuild")
    found, _ = collected(project)
    assert (kind, name) in {(row.kind, row.name) for row in found.caches[0].kept if row.objects}
    assert alive(project, wanted | new) and gone(project, old)
    git(project.root, "update-ref", "-d", ref)
    collected(project)
    assert gone(project, wanted - new)


def test_an_annotated_tag_of_a_tag_keeps_its_results(states) -> None:
    project, _, new = states
    tip, wanted = _ahead(project, "")
    git(project.root, "tag", "-a", "-m", "m", "inner", tip)
    git(project.root, "tag", "-a", "-m", "m", "dogs#prod#3", "inner")
    git(project.root, "tag", "-d", "inner")
    git(project.root, "checkout", "-q", "main")
    found, _ = collected(project)
    assert "release dogs#prod#3" in {f"{row.kind} {row.name}" for row in found.caches[0].kept}
    assert alive(project, wanted | new)


def test_a_detached_head_keeps_its_results(states) -> None:
    project, _, new = states
    _, wanted = _ahead(project, "")
    (project.root / "dvc.lock").unlink()
    shutil.rmtree(project.root / ".mlbuild")
    git(project.root, "rm", "-q", "--cached", "dvc.lock")
    collected(project)
    assert alive(project, wanted | new)


@pytest.mark.parametrize("untracked", [False, True])
def test_every_entry_of_the_stash_keeps_its_results(states, untracked) -> None:
    project, _, _ = states
    if untracked:
        git(project.root, "rm", "-q", "--cached", "dvc.lock")
        git(project.root, "commit", "-q", "-m", "without")
    wanted = set()
    for text in ("one", "two"):
        wanted |= {o.md5 for r in project.build(text=text).values() for o in r.outputs.values()}
        git(project.root, "stash", "push", "-q", *(["-u"] if untracked else []))
    shutil.rmtree(project.root / ".mlbuild", ignore_errors=True)
    found, _ = collected(project)
    assert {"stash@{0}", "stash@{1}"} <= {row.name for row in found.caches[0].kept}
    assert alive(project, wanted)


def test_what_is_staged_keeps_its_results(states) -> None:
    project, old, new = states
    wanted = {o.md5 for r in project.build(text="staged").values() for o in r.outputs.values()}
    git(project.root, "add", "dvc.lock")
    (project.root / "dvc.lock").write_text("schema: '2.0'\n")
    shutil.rmtree(project.root / ".mlbuild")
    collected(project)
    assert alive(project, wanted | new) and gone(project, old)


def test_an_unfinished_merge_keeps_the_results_of_both_sides(states) -> None:
    project, _, _ = states
    git(project.root, "checkout", "-q", "-b", "feature")
    theirs = commit(project, "theirs")
    git(project.root, "checkout", "-q", "main")
    ours = commit(project, "ours")
    git(project.root, "merge", "-q", "feature", code=1)
    git(project.root, "branch", "-q", "-D", "feature")
    (project.root / "dvc.lock").unlink()
    git(project.root, "add", "-A")
    shutil.rmtree(project.root / ".mlbuild")
    collected(project)
    assert alive(project, theirs | ours)


def test_another_worktree_keeps_what_it_has_not_committed(states) -> None:
    project, _, new = states
    other = project.root.parent / "other"
    git(project.root, "worktree", "add", "-q", os.fspath(other))
    lock = project.root / "dvc.lock"
    committed = lock.read_text()
    wanted = {o.md5 for r in project.build(text="there").values() for o in r.outputs.values()}
    shutil.copy(lock, other / "dvc.lock")
    lock.write_text(committed)
    shutil.rmtree(project.root / ".mlbuild")
    found, _ = collected(project)
    assert ("worktree", str(other)) in {(row.kind, row.name) for row in found.caches[0].kept}
    assert alive(project, wanted | new)
    shutil.rmtree(other)
    found, _ = collected(project)
    assert found.notes[0] == f"worktree {other} is not there: only its last commit is known"
    assert gone(project, wanted - new) and alive(project, new)


def test_worktrees_that_share_a_cache_keep_each_others_builds_safe(states) -> None:
    project, old, new = states
    other = project.root.parent / "other"
    git(project.root, "worktree", "add", "-q", os.fspath(other))
    cache = project.root / ".dvc/cache"
    (other / ".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")
    found, _ = collected(project)
    assert found.roots == [project.root, other]
    project.root = other
    found, _ = collected(project)
    assert found.roots == [other, cache.parents[1]]
    assert all(Objects(cache).complete(md5) for md5 in new)
    assert not any(Objects(cache).has(md5) for md5 in old)


def test_a_worktree_of_a_bare_repository_has_no_main_checkout(states, tmp_path) -> None:
    project, old, new = states
    git(tmp_path, "clone", "-q", "--bare", os.fspath(project.root), "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", "-q", os.fspath(tmp_path / "tree"), "main")
    shutil.copytree(project.root / ".dvc/cache", tmp_path / "tree/.dvc/cache")
    project.root = tmp_path / "tree"
    collected(project)
    assert alive(project, new) and gone(project, old)


def test_a_ledger_in_another_folder_of_the_repository_keeps_its_results(states) -> None:
    project, old, _ = states
    (project.root / "sub").mkdir()
    items = "".join(f"    - path: o{n}\n      md5: {md5}\n" for n, md5 in enumerate(sorted(old)))
    (project.root / "sub/dvc.lock").write_text(f"stages:\n  x:\n    cmd: x\n    outs:\n{items}")
    collected(project)
    assert alive(project, old)


def test_results_that_no_ledger_holds_yet_are_kept_by_the_build_record(states) -> None:
    project, _, new = states
    store = project.store()
    record = project.run(store, project.stages[0], {"o": "x", "metrics": "{}", "plots": "y/"}, {})
    store.close()
    collected(project)
    assert alive(project, {out.md5 for out in record.outputs.values()} | new)


def test_outside_git_the_files_alone_tell(make_project) -> None:
    project = make_project(git=False)
    old = project.build(text="old")
    new = project.build(text="new")
    collected(project)
    digests = [{o.md5 for r in found.values() for o in r.outputs.values()} for found in (old, new)]
    assert alive(project, digests[1]) and gone(project, digests[0] - digests[1])


def test_a_commit_without_a_name_counts_when_it_is_asked_for(states) -> None:
    project, _, new = states
    _, wanted = _ahead(project, "")
    git(project.root, "checkout", "-q", "main")
    shutil.rmtree(project.root / ".mlbuild")
    collected(project, all_commits=True)
    assert alive(project, wanted)
    collected(project)
    assert gone(project, wanted - new)


def test_an_object_that_several_need_is_counted_once(states) -> None:
    project, _, _ = states
    git(project.root, "branch", "second")
    (cache,) = look(project.root, Request(), None).caches
    rows = {(row.kind, row.name): row for row in cache.kept}
    assert rows["branch", "second"].objects == rows["branch", "main"].objects
    assert rows["branch", "second"].only_objects == 0
    sizes = sum(seen.size for seen in cache.cache.objects.values())
    assert (cache.kept_objects, cache.kept_size) == (len(cache.cache.objects), sizes)


def test_a_promise_without_its_objects_is_removed_however_young(states) -> None:
    project, old, new = states
    for md5 in old:
        objects_of(project).path(md5).unlink()
    found, done = collected(project, keep_days=30)
    assert done.results == 2
    left = look_through(project.root / ".dvc/cache").entries
    assert len(left) == 2 and all(entry.digests <= new for entry in left)
    assert len(found.caches[0].cache.entries) == 4


def test_a_damaged_listing_is_told(states) -> None:
    project, _, new = states
    (listing,) = {md5 for md5 in new if md5.endswith(".dir")}
    path = objects_of(project).path(listing)
    path.chmod(0o644)
    path.write_text("[]")
    found, _ = collected(project)
    assert found.notes[0] == f"{path}: damaged, so that what this folder needs cannot be told"


def test_a_damaged_entry_goes_and_one_of_dvc_is_understood(states) -> None:
    project, _, new = states
    runs = project.root / ".dvc/cache/runs/ab" / ("ab" * 32)
    runs.mkdir(parents=True)
    md5 = sorted(m for m in new if not m.endswith(".dir"))[0]
    (runs / ("1" * 64)).write_text(f"cmd: make x\nouts:\n- path: x\n  md5: {md5}\n")
    (runs / ("2" * 64)).write_text("half of an ent: [")
    collected(project)
    assert [file.name[0] for file in runs.iterdir()] == ["1"]


# --- what it refuses to guess ------------------------------------------------------------------


def test_a_commit_that_is_missing_stops_everything(states) -> None:
    project, _, _ = states
    blob = git(project.root, "rev-parse", "HEAD:dvc.lock")
    (project.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(DataError) as caught:
        collected(project)
    assert caught.value.render() == (
        f"it cannot be told what the branches of {project.root} need: dvc.lock ({blob[:10]}) is "
        "missing from the repository\n"
        "  hint: nothing was deleted; put that right first (for a missing commit: git fetch)"
    )


def test_a_repository_that_git_cannot_read_stops_everything(states) -> None:
    project, old, _ = states
    (project.root / ".git/HEAD").write_text("nonsense\n")
    with pytest.raises(DataError, match="fatal: not a git repository"):
        collected(project)
    assert alive(project, old)


def test_without_a_git_program_nothing_is_guessed(states, monkeypatch) -> None:
    project, _, _ = states
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DataError, match="there is no git program on PATH"):
        collected(project)


@pytest.fixture
def two_users(make_project, tmp_path):
    """Two projects that share a cache outside both, and the results of each."""
    shared, found = tmp_path / "shared", []
    for name in ("one", "two"):
        project = make_project(name)
        (project.root / ".dvc/tmp").mkdir(parents=True)
        (project.root / ".dvc/config").write_text(f"[cache]\n    dir = {shared}\n")
        records = project.build(text=name)
        found.append((project, {o.md5 for r in records.values() for o in r.outputs.values()}))
    return found, Objects(shared)


def test_a_cache_outside_the_project_is_not_judged_alone(two_users) -> None:
    ((one, _), _), objects = two_users
    with pytest.raises(UsageError) as caught:
        collected(one)
    assert caught.value.render() == (
        f"the cache {objects.folder} lies outside {one.root}: other projects may keep results in "
        "it\n  hint: name them all: mlbuild gc --projects ../other; if there is none: "
        "mlbuild gc --shared"
    )


def test_projects_that_are_named_keep_their_results(two_users) -> None:
    ((one, mine), (two, theirs)), objects = two_users
    found, _ = collected(one, projects=[two.root])
    assert all(objects.complete(md5) for md5 in mine | theirs)
    assert found.roots == [one.root, two.root]
    assert f"project {two.root}" in {row.name for row in found.caches[0].kept}
    collected(one, shared=True)
    assert all(objects.complete(md5) for md5 in mine)
    assert not any(objects.has(md5) for md5 in theirs - mine)


def test_a_project_that_does_not_use_the_cache_is_no_reason(two_users, make_project) -> None:
    ((one, _), _), objects = two_users
    third = make_project("three")
    with pytest.raises(UsageError, match=r"three is no DVC project: it has no \.dvc folder"):
        collected(one, projects=[third.root])
    third.build()
    with pytest.raises(UsageError) as caught:
        collected(one, projects=[third.root])
    assert caught.value.render() == (
        f"{third.root} does not use the cache {objects.folder}\n"
        f"  hint: its own is {cache_settings(third.root)[0]}; leave it out of --projects"
    )


def test_a_cache_for_a_group_is_not_judged_alone(states) -> None:
    project, _, _ = states
    (project.root / ".dvc/config").write_text("[cache]\n    shared = group\n")
    with pytest.raises(UsageError, match=r"is set up for a group \(cache\.shared\)"):
        collected(project)


def test_a_folder_without_anything_of_ours_is_told_so(tmp_path) -> None:
    with pytest.raises(UsageError) as caught:
        look(tmp_path, Request(), None)
    assert caught.value.render() == (
        f"there is nothing of mlbuild's or DVC's in {tmp_path}\n"
        "  hint: call it in a project that `mlbuild run` has built"
    )


# --- others at the same time -------------------------------------------------------------------


def test_what_is_written_anew_between_look_and_deletion_stays(states) -> None:
    project, old, _ = states
    request = Request(keep_days=0, grace_hours=0)
    found = look(project.root, request, None)
    md5 = sorted(m for m in old if not m.endswith(".dir"))[0]
    path = objects_of(project).path(md5)
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)
    sweep(found, found)
    assert objects_of(project).has(md5)


def test_only_what_the_user_saw_is_deleted(states) -> None:
    project, old, _ = states
    request = Request(keep_days=0, grace_hours=0)
    shown = look(project.root, Request(keep_days=30, grace_hours=0), None)
    sweep(look(project.root, request, None), shown)
    assert alive(project, old)


def test_a_checkout_that_came_meanwhile_stops_the_deletion(states) -> None:
    project, old, _ = states
    request = Request(keep_days=0, grace_hours=0)
    shown = look(project.root, request, None)
    found = look(project.root, request, None)
    found.roots.append(project.root.parent / "new")
    with pytest.raises(DataError, match="a checkout was added meanwhile; nothing was deleted"):
        sweep(found, shown)
    assert alive(project, old)


HOLD = """\
import sys
from pathlib import Path
from mlbuild.store.lock import pipeline_lock
with pipeline_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_gc_waits_for_a_build_even_of_a_new_pipeline(states) -> None:
    project, _, _ = states
    lock = project.root / ".mlbuild/locks/new.lock"
    found = look(project.root, Request(), None)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, os.fspath(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as build:
        assert build.stdin and build.stdout and build.stdout.readline() == "held\n"
        told = []

        def waiting(text):
            told.append(text)
            build.stdin.write("\n")
            build.stdin.flush()

        with undisturbed(found, waiting):
            assert build.wait(timeout=30) == 0
    assert len(told) == 1
    assert told[0].startswith(f"waiting for builds: new is held by pid {build.pid} since ")


def test_a_build_waits_for_gc_and_says_so(states) -> None:
    project, _, _ = states
    told = []
    with undisturbed(look(project.root, Request(), None)):
        code = HOLD.replace("(sys.argv[1])", "(sys.argv[1]), print")
        lock = project.root / ".mlbuild/locks/p.lock"
        build = subprocess.Popen(
            [sys.executable, "-u", "-c", code, os.fspath(lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert build.stdin and build.stdout
        told.append(build.stdout.readline())
    out, _ = build.communicate("\n", timeout=30)
    assert told[0].startswith(f"held by pid {os.getpid()} since ") and out == "held\n"


# --- killed ------------------------------------------------------------------------------------


def broken_promises(project):
    """Entries of the run cache and listings whose objects are not there."""
    cache = look_through(project.root / ".dvc/cache")
    bad = [e.file for e in cache.entries if not cache.expand(e.digests) <= cache.objects.keys()]
    listings = [md5 for md5 in cache.objects if md5.endswith(".dir")]
    return bad + [md5 for md5 in listings if not cache.listed(md5) <= cache.objects.keys()]


def test_a_kill_at_any_point_leaves_no_promise_broken(make_project, monkeypatch, faults) -> None:
    project = make_project("model")
    project.build(text="old")
    new = commit(project, "new")
    (project.root / "build/p/.work/x/tmp").mkdir(parents=True)
    before = project.root.with_name("before")
    shutil.copytree(project.root, before, symlinks=True)
    collected(project)
    clean = look_through(project.root / ".dvc/cache").objects.keys()
    for count in range(1, 100):
        shutil.rmtree(project.root)
        shutil.copytree(before, project.root, symlinks=True)
        try:
            with monkeypatch.context() as patch:
                passed = faults.kill_at(patch, (deletion,), count)
                collected(project)
        except faults.Killed:
            assert not broken_promises(project)
            assert alive(project, new)
            collected(project)
            assert look_through(project.root / ".dvc/cache").objects.keys() == clean
            assert not list(project.root.glob("build/p/.work/*/"))
        else:
            break
    assert {"gc:entry", "gc:listing", "gc:object", "gc:leftover", "gc:aside"} <= set(passed)
    assert passed.index("gc:listing") > max(i for i, p in enumerate(passed) if p == "gc:entry")
    assert passed.index("gc:object") > max(i for i, p in enumerate(passed) if p == "gc:listing")


def test_what_killed_writers_left_goes(states) -> None:
    project, _, _ = states
    cache = project.root / ".dvc/cache"
    temporary = cache / "files/.mlbuild/99999-abc"
    temporary.write_text("half")
    runs = next((cache / "runs").glob("*/*"))
    (runs / ".entry.123.tmp").write_text("half")
    collected(project)
    assert not temporary.exists() and not (runs / ".entry.123.tmp").exists()


# --- beside the caches -------------------------------------------------------------------------


def test_scratch_goes_unless_its_journal_is_open(states) -> None:
    project, _, _ = states
    work = project.root / "build/p/.work"
    for name in ("dead", "open"):
        (work / name).mkdir(parents=True)
    (work / "open/journal").write_text("{}")
    collected(project)
    assert [p.name for p in work.iterdir() if p.is_dir()] == ["open"]


def test_old_attempts_logs_go_and_the_last_one_stays(states) -> None:
    project, _, _ = states
    logs = project.root / ".mlbuild/logs"
    logs.mkdir()
    long_ago = time.time() - 40 * 86_400
    for name in ("a.log", "a.log.1", "a.log.2"):
        (logs / name).write_text("x")
        if name != "a.log.2":
            os.utime(logs / name, (long_ago,) * 2)
    collected(project, keep_days=30)
    assert sorted(p.name for p in logs.iterdir()) == ["a.log", "a.log.2"]


def test_what_was_changed_by_hand_goes_only_if_asked_for(states) -> None:
    project, _, _ = states
    kept = project.root / ".mlbuild/kept/20260101-000000-a"
    kept.mkdir(parents=True)
    (kept / "file").write_text("mine")
    found, _ = collected(project)
    assert [(item.path, item.size, item.option) for item in found.optional] == [(kept, 4, "--kept")]
    assert kept.exists()
    collected(project, chosen=frozenset({"--kept"}))
    assert not kept.exists()


def test_results_of_no_stage_go_only_if_asked_for_and_unchanged(states) -> None:
    project, _, _ = states
    plots = project.root / "build/p/a"
    assert plots.is_dir()
    declared = frozenset({"out/a", "out/b b"})
    found, _ = collected(project, declared)
    assert [(item.kind, item.path) for item in found.optional] == [("output", plots)]
    (plots / "note.txt").write_text("mine")
    found, _ = collected(project, declared, chosen=frozenset({"--outputs"}))
    assert found.notes == [f"{plots}: of no stage, but changed by hand: it stays"]
    (plots / "note.txt").unlink()
    collected(project, declared, chosen=frozenset({"--outputs"}))
    assert not plots.exists()


def test_results_of_a_stage_are_not_orphans(states) -> None:
    project, _, _ = states
    declared = frozenset(out.path for stage in project.stages for out in stage.outputs)
    found, _ = collected(project, declared, chosen=frozenset({"--outputs"}))
    assert not found.optional and (project.root / "build/p/a/metrics.json").exists()


def test_without_a_ledger_the_build_record_alone_keeps_results(project) -> None:
    texts = {}
    for text in ("old", "new"):
        store = project.store(ledger=False)
        with store.lock():
            record = project.run(
                store, project.stages[0], {"o": text, "metrics": "{}", "plots": f"{text}/"}, {}
            )
        store.close()
        texts[text] = {out.md5 for out in record.outputs.values()}
    collected(project)
    cache = Objects(project.root / ".mlbuild/cache")
    assert all(cache.complete(md5) for md5 in texts["new"])
    assert not any(cache.has(md5) for md5 in texts["old"] - texts["new"])


def test_toolchains_and_downloads_go_only_if_asked_for_and_idle(states, tmp_path) -> None:
    project, _, _ = states
    cache, long_ago = tmp_path / "cache", time.time() - 40 * 86_400
    made = cache / "toolchains/torch-0123456789ab"
    data = {name: cache / "data" / f"url-{name * 16}" for name in "ab"}
    for folder in (made, *data.values()):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x" * 10)
    (made / "mlbuild-last-use").touch()
    os.utime(made / "mlbuild-last-use", (long_ago,) * 2)
    for path in (data["a"], data["b"]):
        os.utime(path, (long_ago,) * 2)
    (data["b"] / "last-use").touch()
    more = unused(project.root, cache, Policy(30, 2, time.time()))
    assert [(item.kind, item.path) for item in more] == [
        ("toolchain", made),
        ("dataset", data["a"]),
    ]
    collected(project, more=more)
    assert made.exists() and data["a"].exists()
    collected(project, more=more, chosen=frozenset({"--toolchains", "--datasets"}))
    assert not made.exists() and not data["a"].exists() and data["b"].exists()
    assert Toolchains(project.root, {}, cache).listing()


def test_a_result_that_gc_left_can_be_restored(states) -> None:
    project, _, _ = states
    collected(project)
    shutil.rmtree(project.root / "out")
    store = project.store()
    for stage in project.stages:
        record = store.recorded(stage)
        assert record and store.restorable(record)
        store.restore(stage, record)
    assert project.text("out/a") == "a new"
    assert isinstance(record.outputs["o"], Digest)
    assert json.loads((project.root / "build/p/a/plots/one.json").read_text())
    assert Path(project.root / "out/b b").exists()
