import contextlib
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from mlbuild.errors import LedgerError
from mlbuild.records import Input, Output, PathRef, Stage
from mlbuild.store import commit as commit_module
from mlbuild.store import files

LEDGER = ["dvc.yaml", "dvc.lock", "pipelines/p-lock.json"]


def texts(project):
    return {name: project.text(name) for name in LEDGER}


@pytest.mark.slow
def test_the_ledger_is_byte_for_byte_what_dvc_writes(project):
    project.build()
    before = texts(project)
    assert project.dvc("status") == "Data and pipelines are up to date.\n"
    project.dvc("commit", "-f", "-q")
    assert texts(project) == before
    (project.root / "dvc.lock").unlink()
    project.dvc("commit", "-f", "-q")
    assert texts(project) == before


@pytest.mark.slow
@pytest.mark.parametrize("git", [True, False], ids=["git", "no git"])
def test_dvc_has_nothing_to_do_after_a_build(make_project, git):
    project = make_project("my project", git)
    project.build()
    assert "up to date" in project.dvc("status")
    assert "Running stage" not in project.dvc("repro")
    assert "0.5" in project.dvc("metrics", "show")
    assert "p-b-bits-4" in project.dvc("dag")


@pytest.mark.slow
def test_a_sub_folder_of_a_repository_gets_a_ledger_of_its_own(make_project, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    project = make_project("inner", git=False)
    project.build()
    assert "up to date" in project.dvc("status")
    assert (project.root / "out/.gitignore").read_text() == "/a\n/b b\n"
    assert (project.root / ".dvc/config").read_text() == ""


@pytest.mark.slow
def test_push_and_pull_carry_everything(project, tmp_path):
    project.dvc("init", "-q")
    project.dvc("remote", "add", "-q", "-d", "r", str(tmp_path / "remote"))
    records = project.build()
    project.dvc("push", "-q")
    subprocess.run(["git", "-C", str(project.root), "add", "-A"], check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", str(project.root), *author, "commit", "-qm", "x"], check=True)
    mate = replace(project, root=tmp_path / "mate")
    subprocess.run(["git", "clone", "-q", str(project.root), str(mate.root)], check=True)
    store = mate.store()
    first, second = mate.stages
    assert store.recorded(first) == records["a"]
    assert store.candidates(second, records[second.name].key) == records[second.name]
    assert store.placement(first, records["a"]).missing == ("o", "plots")
    assert not store.restorable(records["a"])
    assert not store.team.fetch(records.values()).missing
    assert all(map(store.restorable, records.values()))
    for stage in mate.stages:
        assert store.restore(stage, records[stage.name]) == []
    store.commit(mate.pipeline, records, {})
    assert texts(mate) == texts(project)
    assert "up to date" in mate.dvc("status")


@pytest.mark.slow
def test_the_run_cache_travels_with_dvc(project, tmp_path):
    project.dvc("init", "-q")
    project.dvc("remote", "add", "-q", "-d", "r", str(tmp_path / "remote"))
    old = project.build(text="old")
    project.dvc("push", "-q", "--run-cache")
    # DVC leaves to git what is not cached; a past result needs it all the same.
    md5 = old["a"].outputs["metrics"].md5
    place = tmp_path / "remote/files/md5" / md5[:2] / md5[2:]
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(project.store().object_path(old["a"].outputs["metrics"]).read_bytes())
    mate = replace(project, root=tmp_path / "mate")
    subprocess.run(["git", "clone", "-q", str(project.root), str(mate.root)], check=True)
    (mate.root / "pipelines").mkdir()
    mate.dvc("init", "-q")
    mate.dvc("remote", "add", "-q", "-d", "r", str(tmp_path / "remote"))
    store = mate.store()
    stage = mate.stages[0]
    assert store.candidates(stage, old["a"].key) is None
    assert store.team.lookup([old["a"].key, "unknown"]).keys == {old["a"].key}
    found = store.candidates(stage, old["a"].key)
    assert found == old["a"]
    assert not store.team.fetch([found]).missing
    store.restore(stage, found)
    assert mate.text("out/a") == "a old"


def test_no_remote_is_no_error(project):
    records = project.build()
    subprocess.run(["rm", "-rf", str(project.root / ".dvc/cache")], check=True)
    wanted = {out.md5 for record in records.values() for out in record.outputs.values()}
    assert project.store().team.fetch(records.values()).missing == wanted
    assert project.store().team.lookup(["k"]).keys == set()


def test_an_unreachable_remote_is_an_error(project):
    records = project.build()
    config = "[core]\n    remote = r\n['remote \"r\"']\n    url = nonsense://x\n"
    (project.root / ".dvc/config").write_text(config)
    subprocess.run(["rm", "-rf", str(project.root / ".dvc/cache")], check=True)
    from mlbuild.errors import DataError

    with pytest.raises(DataError) as caught:
        project.store().team.fetch(records.values())
    assert caught.value.render().startswith("the DVC remote 'r' cannot be used: ")
    assert caught.value.render().endswith(
        "\n  hint: check `dvc remote list` and its credentials, or build without it: --offline"
    )


# --- what is known ------------------------------------------------------------------------------


def test_the_ledger_alone_knows_every_record(project):
    records = project.build()
    subprocess.run(["rm", "-rf", str(project.root / ".mlbuild")], check=True)
    store = project.store()
    for stage in project.stages:
        assert store.recorded(stage) == records[stage.name]
        assert store.placement(stage, records[stage.name]).in_place


def test_every_past_result_is_a_candidate(project):
    first = project.build(text="one")
    (project.root / "src/a.txt").write_text("b\n")
    second = project.build(text="two")
    stage = project.stages[0]
    assert first["a"].key != second["a"].key
    assert project.store().candidates(stage, first["a"].key) == first["a"]
    assert project.store().candidates(stage, second["a"].key) == second["a"]
    assert project.store().candidates(stage, "unknown") is None


def test_a_stage_that_was_renamed_is_found_by_its_key(project):
    records = project.build()
    renamed = replace(project.stages[0], name="z", outputs=(Output("o", "out/z"),))
    for gone in (".mlbuild", ".dvc/cache/runs"):
        store = project.store()
        assert store.recorded(renamed) is None
        assert store.candidates(renamed, records["a"].key) == records["a"]
        subprocess.run(["rm", "-rf", str(project.root / gone)], check=True)
    store = project.store()
    assert store.candidates(renamed, records["a"].key) == records["a"]
    store.restore(renamed, records["a"])
    assert project.text("out/z") == "a "


def test_outputs_changed_by_hand_are_told_kept_and_restored(project):
    records = project.build()
    (project.root / "out/a").write_text("by hand")
    store = project.store()
    stage = project.stages[0]
    placement = store.placement(stage, records["a"])
    assert (placement.modified, placement.missing, placement.outdated) == (("o",), (), ())
    kept = store.restore(stage, records["a"])
    assert [p.read_text() for p in kept] == ["by hand"]
    assert project.text("out/a") == "a "
    assert project.store().placement(stage, records["a"]).in_place


def test_outputs_of_an_earlier_build_are_not_called_modified(project):
    first = project.build(text="one")
    (project.root / "src/a.txt").write_text("b\n")
    project.build(text="two")
    store = project.store()
    placement = store.placement(project.stages[0], first["a"])
    assert set(placement.outdated) == {"o", "plots"}
    assert store.restore(project.stages[0], first["a"]) == []
    assert project.text("out/a") == "a one"


@pytest.mark.parametrize("gone", [".mlbuild", "dvc.lock"])
def test_one_of_the_memories_is_enough_to_know_our_own_outputs(project, gone):
    project.build(text="one")
    subprocess.run(["rm", "-rf", str(project.root / gone)], check=True)
    (project.root / "src/a.txt").write_text("b\n")
    store = project.store()
    scratch = store.prepare(project.stages[0])
    for path in scratch.outputs.values():
        path.write_text("new")
    assert store.publish(project.stages[0], scratch).kept == ()


def test_a_corrupt_object_is_removed_and_told(project):
    records = project.build()
    store = project.store()
    bad = store.object_path(records["a"].outputs["o"])
    bad.chmod(0o644)
    bad.write_text("flipped bits")
    (project.root / "out/a").unlink()
    from mlbuild.store.cache import ObjectMissingError

    with pytest.raises(ObjectMissingError) as caught:
        store.restore(project.stages[0], records["a"])
    md5 = records["a"].outputs["o"].md5
    assert caught.value.render() == (
        f"a cannot be restored: object {md5} is corrupt and was removed\n"
        "  hint: `dvc pull` fetches it if a remote has it; otherwise run the stage again"
    )
    assert not bad.exists()
    assert not (project.root / "out/a").exists()
    assert not store.restorable(records["a"])


def test_a_corrupt_listing_is_removed(project):
    records = project.build()
    store = project.store()
    bad = store.object_path(records["a"].outputs["plots"])
    bad.chmod(0o644)
    bad.write_text("[]")
    assert not store.restorable(records["a"])
    assert not bad.exists()


def test_a_missing_file_of_a_folder_makes_it_unrestorable(project):
    records = project.build()
    store = project.store()
    listing = store.cache.listing(records["a"].outputs["plots"].md5)
    store.cache.path(listing["sub/two.json"]).unlink()
    assert not store.restorable(records["a"])


def test_without_a_ledger_nothing_of_dvc_is_made(project):
    store = project.store(ledger=False)
    project.build(store)
    names = {p.name for p in project.root.iterdir()}
    assert names == {".git", ".mlbuild", "build", "out", "pipelines", "src"}
    again = project.store(ledger=False)
    record = again.recorded(project.stages[0])
    (project.root / "out/a").unlink()
    assert again.restorable(record)
    again.restore(project.stages[0], record)
    assert project.text("out/a") == "a "


def test_an_uncommitted_success_survives_a_kill(project):
    store = project.store()
    with store.lock():
        store.initialize()
        record = project.run(
            store, project.stages[0], {"o": "x", "metrics": "{}", "plots": "p/"}, {}
        )
    # killed here: no commit
    again = project.store()
    assert again.recorded(project.stages[0]) == record
    again.commit(project.pipeline, {"a": record}, {})
    assert "p-a:" in project.text("dvc.lock")
    assert "p-b-bits-4" not in project.text("dvc.lock")


def test_a_ledger_that_was_changed_from_outside_wins(project):
    first = project.build(text="one")
    old = texts(project)
    (project.root / "src/a.txt").write_text("b\n")
    second = project.build(text="two")
    for name, text in old.items():  # as `git checkout` of another branch does
        (project.root / name).write_text(text)
    assert project.store().recorded(project.stages[0]) == first["a"]
    store = project.store()
    store.commit(project.pipeline, second, {})
    assert store.recorded(project.stages[0]) == second["a"]


# --- commits ------------------------------------------------------------------------------------


def test_a_commit_without_news_writes_nothing(project):
    records = project.build()
    stats = [(project.root / n).stat().st_mtime_ns for n in LEDGER]
    store = project.store()
    store.commit(project.pipeline, records, {})
    assert [(project.root / n).stat().st_mtime_ns for n in LEDGER] == stats


@pytest.mark.parametrize("damage", LEDGER)
def test_a_commit_repairs_what_somebody_changed(project, damage):
    records = project.build()
    good = texts(project)
    text = good[damage].replace("out/a", "out/elsewhere").replace("size: 4", "size: 5")
    (project.root / damage).write_text(text)
    project.store().commit(project.pipeline, records, {})
    assert texts(project) == good


@pytest.mark.parametrize("count", range(1, 9))
def test_a_commit_that_was_killed_is_done_by_the_next(project, monkeypatch, faults, count):
    records = project.build()
    good = texts(project)
    for name in LEDGER:
        (project.root / name).unlink()
    with monkeypatch.context() as patch:
        faults.kill_at(patch, (commit_module, files), count)
        with contextlib.suppress(faults.Killed):
            project.store().commit(project.pipeline, records, {})
    project.store().commit(project.pipeline, records, {})
    assert texts(project) == good


def test_stages_that_came_and_went(project):
    project.build()
    both = texts(project)
    gone = project.stages.pop()
    project.build()
    assert "bits-4" not in project.text("dvc.yaml") + project.text("dvc.lock")
    assert "bits-4" not in project.text("pipelines/p-lock.json")
    assert project.text("out/.gitignore") == "/a\n"
    project.stages.append(gone)
    project.build()
    assert texts(project) == both


def test_the_last_stage_takes_the_file_with_it(project):
    project.build()
    project.stages.clear()
    project.build()
    assert not (project.root / "dvc.yaml").exists()


def test_two_pipelines_share_the_ledger(project):
    project.build()
    other = Stage(
        "x",
        "x",
        command="true",
        inputs=(Input("i", (PathRef("src/a.txt"),)),),
        outputs=(Output("o", "out/x"),),
    )
    second = replace(project, stages=[other])
    from mlbuild.store.project import Store

    (project.root / "pipelines/q.yaml").write_text("version: 1\n")
    store = Store.open(project.root, "q", project.root / "pipelines/q.yaml")
    pipeline = replace(second.pipeline, name="q", file=project.root / "pipelines/q.yaml")
    record = second.run(store, other, {"o": "x"}, {})
    store.commit(pipeline, {"x": record}, {})
    assert list(yaml.safe_load(project.text("dvc.yaml"))["stages"]) == ["p-a", "p-b-bits-4", "q-x"]
    project.stages.pop()
    project.build()
    assert list(yaml.safe_load(project.text("dvc.yaml"))["stages"]) == ["p-a", "q-x"]
    assert "q-x" in project.text("dvc.lock")


def test_names_that_collide_get_six_digits(project):
    project.stages = [
        replace(project.stages[0], name=name, outputs=(Output("o", f"out/{i}"),))
        for i, name in enumerate(["s[a=1]", "s[a=-1]", "t"])
    ]
    records = project.build()
    names = list(yaml.safe_load(project.text("dvc.yaml"))["stages"])
    assert names[0].startswith("p-s-a-1-") and names[1].startswith("p-s-a-1-")
    assert len(set(names)) == 3 and names[2] == "p-t"
    subprocess.run(["rm", "-rf", str(project.root / ".mlbuild")], check=True)
    store = project.store()
    assert {s.name: store.recorded(s) for s in project.stages} == records


def test_a_users_own_stage_keeps_its_name(project):
    (project.root / "dvc.yaml").write_text("stages:\n  p-a:\n    cmd: echo mine\n")
    records = project.build()
    stages = yaml.safe_load(project.text("dvc.yaml"))["stages"]
    assert stages["p-a"] == {"cmd": "echo mine"}
    assert len(stages) == 3
    assert project.store().recorded(project.stages[0]) == records["a"]
    project.build()
    assert len(yaml.safe_load(project.text("dvc.yaml"))["stages"]) == 3


def test_dollar_signs_reach_dvc_unharmed(project):
    project.stages = [replace(project.stages[0], outputs=(Output("o", "out/${x}"),))]
    project.build()
    assert "out/\\${x}" in project.text("dvc.yaml")
    assert "path: out/${x}" in project.text("dvc.lock")


def test_frozen_datasets_come_back(project):
    frozen = {"weights": {"sha256": "ab" * 32, "rev": None}, "a b": {"files": ["x", "y"]}}
    store = project.store()
    store.initialize()
    store.commit(project.pipeline, {}, frozen)
    assert project.store().datasets_frozen() == frozen
    assert project.store(ledger=False).datasets_frozen() == frozen
    store.commit(project.pipeline, {}, {})
    assert project.store().datasets_frozen() == {}


def test_pins_only_writes_nothing_of_dvcs(project):
    project.build(text="one")
    lock = project.text("dvc.lock")
    (project.root / "src/a.txt").write_text("b\n")
    store = project.store()
    record = project.run(store, project.stages[0], {"o": "x", "metrics": "{}", "plots": "p/"}, {})
    store.commit(project.pipeline, {"a": record}, {}, pins_only=True)
    assert project.text("dvc.lock") == lock
    assert record.key in project.text("pipelines/p-lock.json")


# --- bad ledgers --------------------------------------------------------------------------------


def conflict(text: str, theirs: str) -> str:
    """The text with the block of stage `a` in conflict, as git writes it."""
    start, end = text.index("  p-a:"), text.index("  p-b-")
    ours = text[start:end]
    other = ours.replace("size: 4", f"size: {theirs}")
    a, b = ours.splitlines(True), other.splitlines(True)
    same = next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)
    hunk = ["<<<<<<< HEAD\n", a[same], "=======\n", b[same], ">>>>>>> theirs\n"]
    return text[:start] + "".join(a[:same] + hunk + a[same + 1 :]) + text[end:]


def test_a_bad_merge_spoils_only_the_stages_that_differ(project):
    records = project.build(text="12")
    subprocess.run(["rm", "-rf", str(project.root / ".mlbuild")], check=True)
    good = texts(project)
    text = project.text("dvc.lock").replace("size: 2", "size: 4", 1)
    (project.root / "dvc.lock").write_text(conflict(text, "9"))
    store = project.store()
    first, second = project.stages
    ours = store.recorded(first)  # as it was on the branch merged into
    assert ours is not None
    assert (ours.key, ours.outputs["o"].md5) == (records["a"].key, records["a"].outputs["o"].md5)
    assert store.recorded(second) == records[second.name]
    assert store.candidates(first, records["a"].key) == records["a"]
    store.commit(project.pipeline, records, {})
    assert yaml.safe_load(project.text("dvc.lock")) == yaml.safe_load(good["dvc.lock"])


def test_a_merge_that_only_added_stages_spoils_those_alone(project):
    project.build()
    text = project.text("dvc.lock")
    at = text.index("  p-b-")
    block = text[text.index("  p-a:") : at].replace("p-a", "p-n")
    merged = f"{text[:at]}<<<<<<< HEAD\n=======\n{block}>>>>>>> theirs\n{text[at:]}"
    (project.root / "dvc.lock").write_text(merged)
    subprocess.run(["rm", "-rf", str(project.root / ".mlbuild")], check=True)
    assert all(project.store().recorded(s) for s in project.stages)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe\0", "it is not text"),
        (b"garbage\n", "it does not say that its schema is '2.0'"),
        (b"schema: '3.0'\nstages: {}\n", "it does not say that its schema is '2.0'"),
    ],
)
def test_a_lock_file_that_is_none_is_an_error(project, content, why):
    project.build()
    subprocess.run(["rm", "-rf", str(project.root / ".mlbuild")], check=True)
    file = project.root / "dvc.lock"
    file.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        project.store().recorded(project.stages[0])
    assert caught.value.render() == (
        f"{file} cannot be read: {why}\n"
        f"  hint: put the committed one back (git checkout -- '{file}') or delete it: "
        "the next run writes it anew and restores what the cache still has"
    )


def test_pins_of_a_newer_mlbuild_are_refused(project):
    file = project.root / "pipelines/p-lock.json"
    file.write_text('{\n"version": 2,\n"stages": {\n}\n}\n')
    with pytest.raises(LedgerError) as caught:
        project.store().datasets_frozen()
    assert caught.value.render() == (
        f"{file} was written by a newer mlbuild (format 2)\n"
        "  hint: this one knows format 1: upgrade mlbuild-pipelines"
    )


def test_broken_pins_are_an_error(project):
    file = project.root / "pipelines/p-lock.json"
    file.write_text('{\n"version": 1,\n"datasets": [\n"stages": {\n}\n}\n')
    with pytest.raises(LedgerError, match=r"p-lock\.json cannot be read: "):
        project.store().datasets_frozen()


# --- many at once -------------------------------------------------------------------------------

RECORD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from dataclasses import replace
from conftest import Project
from mlbuild.records import Input, Output, PathRef, ResolvedPipeline, Stage
from mlbuild.store.project import Store
root, name = Path({root!r}), sys.argv[1]
source = Input("i", (PathRef("src/a.txt"),))
stage = Stage("s", "s", inputs=(source,), outputs=(Output("o", f"out/{{name}}"),))
project = Project(root, stages=[stage])
file = root / "pipelines" / f"{{name}}.yaml"
file.write_text("version: 1")
store = Store.open(root, name, file)
with store.lock():
    store.initialize()
    store.recover()
    record = project.run(store, stage, {{"o": name}}, {{}})
    store.commit(replace(project.pipeline, name=name, file=file), {{"s": record}}, {{}})
"""


@pytest.mark.slow
def test_many_processes_record_at_once_and_nothing_is_lost(project):
    from pathlib import Path

    project.store().initialize()
    code = RECORD.format(tests=str(Path(__file__).parent), root=str(project.root))
    names = [f"n{i}" for i in range(12)]
    running = [subprocess.Popen([sys.executable, "-c", code, name]) for name in names]
    assert [p.wait(120) for p in running] == [0] * len(names)
    for file in ("dvc.yaml", "dvc.lock"):
        assert sorted(yaml.safe_load(project.text(file))["stages"]) == sorted(
            f"{n}-s" for n in names
        )
    assert "up to date" in project.dvc("status")


def test_an_output_that_cannot_be_read_counts_as_changed_and_is_kept(project):
    records = project.build()
    stage = project.stages[0]
    (project.root / "out/a").unlink()
    (project.root / "out/a").symlink_to("gone")
    store = project.store()
    assert store.placement(stage, records["a"]).modified == ("o",)
    (kept,) = store.restore(stage, records["a"])
    assert kept.is_symlink()
    assert project.text("out/a") == "a "
