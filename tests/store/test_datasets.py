import subprocess
import sys

import pytest

from mlbuild.errors import DataError


def lay(project, path="data/dogs"):
    folder = project.root / path
    (folder / "beagle").mkdir(parents=True)
    (folder / "beagle/1.jpg").write_text("1")
    (folder / "é 2.jpg").write_text("22")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "file", "executable"])
def test_a_dataset_is_added_as_dvc_does(make_project, kind):
    both = []
    for name in ("ours", "theirs"):
        project = make_project(name)
        lay(project)
        if kind != "folder":
            path = project.root / "data/dogs.csv"
            path.write_text("a,b\n")
            path.chmod(0o755 if kind == "executable" else 0o644)
        target = "data/dogs" if kind == "folder" else "data/dogs.csv"
        project.dvc("init", "-q")
        if name == "ours":
            facts = project.store().add_dataset(target)
            assert (facts["path"], facts["by"]) == (target, "dvc")
        else:
            project.dvc("add", "-q", target)
        objects = project.root / ".dvc/cache/files/md5"
        both.append(
            (
                project.text(f"{target}.dvc"),
                project.text("data/.gitignore"),
                {
                    str(p.relative_to(objects)): (p.read_bytes(), p.stat().st_mode)
                    for p in objects.rglob("*")
                    if p.is_file()
                },
            )
        )
    assert both[0] == both[1]


def test_adding_again_changes_nothing(project):
    lay(project)
    project.store().initialize()
    project.store().add_dataset("data/dogs")
    stat = (project.root / "data/dogs.dvc").stat()
    project.store().add_dataset("data/dogs")
    assert (project.root / "data/dogs.dvc").stat() == stat


def test_a_changed_dataset_is_added_anew(project):
    lay(project)
    project.store().initialize()
    before = project.store().add_dataset("data/dogs")
    (project.root / "data/dogs/3.jpg").write_text("3")
    after = project.store().add_dataset("data/dogs")
    assert before["md5"] != after["md5"]
    assert after["md5"] in project.text("data/dogs.dvc")
    assert project.store().cache.complete(after["md5"])


def test_what_a_user_added_to_a_dvc_file_stays(project):
    lay(project)
    project.store().initialize()
    project.store().add_dataset("data/dogs")
    file = project.root / "data/dogs.dvc"
    file.write_text("# mine\n" + file.read_text() + "  desc: photographs\n")
    text = file.read_text()
    project.store().add_dataset("data/dogs")
    assert file.read_text() == text


def test_what_git_tracks_is_left_to_git(project):
    lay(project)
    subprocess.run(["git", "-C", str(project.root), "add", "data"], check=True)
    assert project.store().add_dataset("data/dogs")["by"] == "git"
    assert not (project.root / "data/dogs.dvc").exists()


def test_what_a_users_stage_makes_is_left_to_it(project):
    lay(project)
    (project.root / "dvc.yaml").write_text("stages:\n  x:\n    cmd: x\n    outs: [data/dogs]\n")
    project.store().add_dataset("data/dogs/beagle")
    assert not (project.root / "data/dogs/beagle.dvc").exists()


def test_a_part_of_a_tracked_folder_is_tracked(project):
    lay(project)
    project.store().initialize()
    project.store().add_dataset("data/dogs")
    assert project.store().add_dataset("data/dogs/beagle")["by"] == "dvc"
    assert not (project.root / "data/dogs/beagle.dvc").exists()


def test_a_dataset_outside_the_root_is_known_by_content_only(project, tmp_path):
    (tmp_path / "far.csv").write_text("x")
    facts = project.store().add_dataset(str(tmp_path / "far.csv"))
    assert (facts["by"], facts["md5"]) == (None, "9dd4e461268c8034f5c8564e155c67a6")
    assert not (tmp_path / "far.csv.dvc").exists()


def test_a_dataset_that_is_not_there_is_an_error(project):
    with pytest.raises(DataError) as caught:
        project.store().add_dataset("data/none")
    assert caught.value.render() == (
        f"dataset data/none does not exist\n  hint: looked for {project.root}/data/none"
    )


def test_without_a_ledger_nothing_is_added(project):
    lay(project)
    assert project.store(ledger=False).add_dataset("data/dogs") is None
    assert not (project.root / "data/dogs.dvc").exists()


@pytest.mark.slow
def test_missing_data_is_pulled(project, tmp_path):
    lay(project)
    project.dvc("init", "-q")
    project.dvc("remote", "add", "-q", "-d", "r", str(tmp_path / "remote"))
    known = project.store().add_dataset("data/dogs")
    project.dvc("push", "-q")
    subprocess.run(["rm", "-rf", "data/dogs", ".dvc/cache"], cwd=project.root, check=True)
    store = project.store()
    assert store.digests.of(project.root / "data/dogs") is None
    assert store.pull_dataset("data/dogs")
    assert store.digests.of(project.root / "data/dogs").md5 == known["md5"]


def test_what_nothing_tracks_cannot_be_pulled(project):
    assert not project.store().pull_dataset("data/dogs")
    assert not project.store().pull_dataset("/somewhere/else")


@pytest.mark.slow
def test_data_that_nobody_pushed_is_an_error(project, tmp_path):
    lay(project)
    project.dvc("init", "-q")
    project.dvc("remote", "add", "-q", "-d", "r", str(tmp_path / "remote"))
    project.store().add_dataset("data/dogs")
    subprocess.run(["rm", "-rf", "data/dogs", ".dvc/cache"], cwd=project.root, check=True)
    with pytest.raises(DataError) as caught:
        project.store().pull_dataset("data/dogs")
    assert caught.value.render().startswith("dataset data/dogs could not be pulled: ")
    assert caught.value.render().endswith(
        "\n  hint: check `dvc remote list` and whether somebody has pushed it (`dvc push`)"
    )


def test_dvc_is_imported_only_when_data_must_travel():
    code = (
        "import sys; from mlbuild.store.project import Store\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'dvc', 'ruamel', 'sqlite3'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
