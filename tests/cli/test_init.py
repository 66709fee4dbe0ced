"""`mlbuild init` at the command line: what it writes, keeps, asks and refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from mlbuild.cli import init
from mlbuild.cli.main import main
from mlbuild.starting.tasks import TARGETS, TASKS
from tests.starting import data


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", "app", *arguments], capture_output=True, text=True)
    return done.stdout.strip()


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["init", *arguments]) == 2
    return capsys.readouterr().err


def test_a_project_from_nothing_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "app", "--name", "flowers"]) == 0
    assert capsys.readouterr().out == (
        "made a git repository in app\n"
        "wrote app/pipelines/flowers.yaml\n"
        "wrote app/README.md\n"
        "wrote app/data/README.md\n"
        "wrote app/.gitignore\n"
        "made a DVC repository in app/.dvc\n"
        "next: mlbuild run app/pipelines/flowers.yaml\n"
    )
    assert _git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert (Path("app/.dvc/config")).is_file()


def test_the_folder_gives_the_name() -> None:
    assert main(["init", "My App!"]) == 0
    assert Path("My App!/pipelines/My-App.yaml").is_file()


def test_a_word_that_yaml_reads_otherwise_can_be_a_name() -> None:
    assert main(["init", "app", "--name", "No"]) == 0
    made = yaml.safe_load(Path("app/pipelines/No.yaml").read_text())
    assert (made["name"], made["release"]["name"]) == ("No", "no")


def test_nothing_that_is_there_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("app").mkdir()
    Path("app/README.md").write_text("mine")
    Path("app/.gitignore").write_text("/releases/\n*.log")
    assert main(["init", "app", "--name", "dogs"]) == 0
    assert "kept app/README.md\n" in capsys.readouterr().out
    assert Path("app/README.md").read_text() == "mine"
    ignored = Path("app/.gitignore").read_text()
    assert ignored.startswith("/releases/\n*.log\n# Python's")
    assert ignored.count("/releases/") == 1
    assert "What `mlbuild release` writes" not in ignored  # a heading without its line
    assert _said(capsys, "app", "--name", "dogs") == (
        "app/pipelines/dogs.yaml is there already\n  hint: choose another --name\n"
    )


def test_a_second_pipeline_stands_beside_the_first() -> None:
    assert main(["init", "app", "--name", "one"]) == 0
    ignored = Path("app/.gitignore").read_bytes()
    assert main(["init", "app", "--name", "two", "--task", "sound"]) == 0
    assert sorted(p.name for p in Path("app/pipelines").glob("*.yaml")) == ["one.yaml", "two.yaml"]
    assert Path("app/pipelines/scripts/two_tones.py").is_file()
    assert Path("app/.gitignore").read_bytes() == ignored


def test_where_one_file_stands_in_the_way_nothing_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = Path("app/pipelines/scripts/dogs_tones.py")
    script.parent.mkdir(parents=True)
    script.write_text("mine")
    said = _said(capsys, "app", "--name", "dogs", "--task", "sound")
    assert said.startswith("app/pipelines/scripts/dogs_tones.py is there already\n")
    assert not Path("app/pipelines/dogs.yaml").exists()
    assert not Path("app/.git").exists()


def test_no_git_is_made_where_none_is_wanted_or_one_is_there() -> None:
    assert main(["init", "app", "--name", "a", "--no-git"]) == 0
    assert not Path("app/.git").exists()
    subprocess.run(["git", "init", "-q", "."], check=True)
    assert main(["init", "part", "--name", "a"]) == 0
    assert not Path("part/.git").exists()


def test_paths_are_the_project_s_where_the_folder_lies_in_one() -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    data.classes(Path("part/data/photos"))
    assert main(["init", "part", "--name", "a", "--ci", "github"]) == 0
    made = yaml.safe_load(Path("part/pipelines/a.yaml").read_text())
    assert made["datasets"]["photos"]["path"] == "part/data/photos"
    workflow = yaml.safe_load(Path(".github/workflows/a.yml").read_text())
    assert workflow["env"]["PIPELINE"] == "part/pipelines/a.yaml"


def test_data_beside_the_project_are_told_to_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    photos = data.classes(Path("photos of pets"))
    assert main(["init", "app", "--name", "a", "--data", str(photos)]) == 0
    assert capsys.readouterr().out.startswith(
        "photos of pets: a folder of pictures for each class (3 folders with 12 pictures)\n"
        "photos of pets lies beside the project, on this machine alone; --copy brings it in\n"
    )
    made = yaml.safe_load(Path("app/pipelines/a.yaml").read_text())
    assert made["datasets"]["photos"]["path"] == "../photos of pets"
    assert "recorded by their content only" in Path("app/README.md").read_text()


def test_the_first_gate_asks_for_more_than_guessing() -> None:
    data.classes(Path("few"))
    for number in range(30):
        for name in ("cat", "dog", "emu", "owl"):
            data.picture(Path("many", name, f"{number}.png"), number)
    for name, want in (("few", {"min": 0.33}), ("many", {"min_lower": 0.25})):
        assert main(["init", "app", "--name", name, "--data", name]) == 0
        made = yaml.safe_load(Path(f"app/pipelines/{name}.yaml").read_text())
        assert made["stages"]["train"]["gates"] == {"accuracy": want}


def test_data_and_models_are_copied_into_the_project_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos = data.classes(Path("photos"))
    assert main(["init", "app", "--name", "a", "--data", "photos", "--copy"]) == 0
    assert "copied photos to app/data/photos\n" in capsys.readouterr().out
    made = yaml.safe_load(Path("app/pipelines/a.yaml").read_text())
    assert made["datasets"]["photos"]["path"] == "data/photos"
    names = sorted(p.relative_to(photos) for p in photos.rglob("*"))
    copy = Path("app/data/photos")
    assert sorted(p.relative_to(copy) for p in copy.rglob("*")) == names
    assert _said(capsys, "app", "--name", "b", "--data", "photos", "--copy").endswith(
        "app/data/photos is there already\n  hint: rename one of them, or leave out --copy\n"
    )
    Path("net.onnx").write_bytes(b"x")
    assert main(["init", "app", "--name", "c", "--model", "net.onnx", "--copy"]) == 0
    made = yaml.safe_load(Path("app/pipelines/c.yaml").read_text())
    assert made["datasets"]["model"]["path"] == "models/net.onnx"
    assert Path("app/models/net.onnx").read_bytes() == b"x"


def test_a_repository_that_merges_elsewhere_is_released_from_there() -> None:
    subprocess.run(["git", "init", "-q", "-b", "master", "app"], check=True)
    assert main(["init", "app", "--name", "a", "--ci", "github"]) == 0
    workflow = yaml.safe_load(Path("app/.github/workflows/a.yml").read_text())
    assert workflow[True]["push"]["branches"] == ["master"]  # YAML 1.1 reads `on` so


def test_a_column_of_strange_signs_is_named_as_it_is() -> None:
    Path("t.csv").write_text('"a: b","x # y"\n1,"yes"\n2,"no"\n')
    assert main(["init", "app", "--name", "a", "--data", "t.csv"]) == 0
    made = yaml.safe_load(Path("app/pipelines/a.yaml").read_text())
    assert made["stages"]["train"]["with"]["target"] == "x # y"


def test_the_column_that_is_told_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    data.table(Path("t.csv"))
    assert main(["init", "app", "--name", "a", "--data", "t.csv"]) == 0
    said = "column 'class' is to be told; another one: --target-column\n"
    assert said in capsys.readouterr().out
    assert main(["init", "app", "--name", "b", "--data", "t.csv", "--target-column", "side"]) == 0
    made = yaml.safe_load(Path("app/pipelines/b.yaml").read_text())
    assert made["stages"]["train"]["with"]["target"] == "side"


def test_a_remote_becomes_the_team_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "app", "--name", "a", "--remote", "s3://bucket/path"]) == 0
    assert "made s3://bucket/path the team's DVC remote\n" in capsys.readouterr().out
    config = Path("app/.dvc/config").read_text()
    assert "remote = storage" in config
    assert "url = s3://bucket/path" in config
    assert main(["init", "app", "--name", "b", "--remote", "other"]) == 0
    assert "kept the DVC remote that " in capsys.readouterr().out
    assert Path("app/.dvc/config").read_text() == config


def test_a_remote_that_is_a_folder_is_the_caller_s(tmp_path: Path) -> None:
    assert main(["init", "app", "--name", "a", "--remote", "store"]) == 0
    assert f"url = {tmp_path / 'store'}\n" in Path("app/.dvc/config").read_text()


def test_ci_alone_changes_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "app", "--name", "dogs", "--remote", "s3://b/p"]) == 0
    before = {p: p.read_bytes() for p in Path("app").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main(["init", "app", "--ci", "github"]) == 0
    assert capsys.readouterr().out == "wrote app/.github/workflows/dogs.yml\n"
    after = {p: p.read_bytes() for p in Path("app").rglob("*") if p.is_file()}
    workflow = Path("app/.github/workflows/dogs.yml")
    assert "dvc-s3" in after.pop(workflow).decode()
    assert after == before
    assert _said(capsys, "app", "--ci", "github") == (
        "app/.github/workflows/dogs.yml is there already\n"
        "  hint: remove it to have it written anew\n"
    )


def test_ci_for_one_of_several_pipelines_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        assert main(["init", "app", "--name", name]) == 0
    assert _said(capsys, "app", "--ci", "gitlab") == (
        "which pipeline shall CI build?\n  allowed: one, two\n  hint: name it with --name\n"
    )
    assert main(["init", "app", "--ci", "gitlab", "--name", "one"]) == 0
    capsys.readouterr()
    assert main(["init", "app", "--ci", "gitlab", "--name", "two"]) == 0
    assert capsys.readouterr().out == (
        "wrote app/.gitlab/two.yml\nadd to app/.gitlab-ci.yml: include: {local: .gitlab/two.yml}\n"
    )


@pytest.mark.parametrize(
    ("origin", "service", "place"),
    [
        ("https://ann:secret@github.com/team/dogs.git", "github", "{github: team/dogs}"),
        ("git@gitlab.com:group/sub/dogs.git", "gitlab", "{gitlab: group/sub/dogs}"),
        ("ssh://git@gitlab.example.org:2222/group/dogs", "gitlab", "{gitlab: group/dogs}"),
        ("https://example.org/team/dogs.git", "github", None),
    ],
)
def test_ci_publishes_where_the_repository_is(origin: str, service: str, place: str | None) -> None:
    subprocess.run(["git", "init", "-q", "app"], check=True)
    _git("remote", "add", "origin", origin)
    assert main(["init", "app", "--name", "dogs", "--ci", service]) == 0
    release = yaml.safe_load(Path("app/pipelines/dogs.yaml").read_text())["release"]
    assert release.get("publish") == (None if place is None else [yaml.safe_load(place)])


def test_what_cannot_be_is_said_whole(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("net.tflite", "net.bin", "net.onnx"):
        Path(name).write_bytes(b"x")
    photos = str(data.classes(Path("photos")))
    table = [
        (("--name", "1x"),
         "'1x' cannot be the name of a pipeline\n"
         "  allowed: a letter, then letters, digits, '-' and '_'\n  hint: name it with --name\n"),
        (("--task", "sounds"),
         f"there is no task 'sounds'\n  allowed: {', '.join(TASKS)}\n"
         "  hint: did you mean 'sound'?\n"),
        (("--task", "text", "--framework", "keras"),
         "there is no framework of task text 'keras'\n  allowed: torch\n"),
        (("--target", "iOS7"),
         f"there is no target 'iOS7'\n  allowed: {', '.join(TARGETS)}\n"
         "  hint: did you mean 'iOS17'?\n"),
        (("--data", "nowhere"), "there are no data at nowhere\n"),
        (("--model", "nowhere.onnx"), "there is no model at nowhere.onnx\n"),
        (("--model", "net.tflite"),
         "a model of TensorFlow Lite cannot be converted: what it was made of is gone\n"
         "  got: net.tflite\n  allowed: .onnx, .pt, .pt2, .h5, .keras, .joblib, .ubj, .mlpackage, "
         ".mlmodel\n  hint: give the model that it was made of\n"),
        (("--model", "net.bin"),
         "net.bin is no model that is known\n  allowed: .onnx, .pt, .pt2, .h5, .keras, .joblib, "
         ".ubj, .mlpackage, .mlmodel, a SavedModel\n"),
        (("--model", "net.onnx", "--framework", "keras"),
         "the model is not of framework keras\n  got: net.onnx: ONNX\n"),
        (("--model", "net.onnx", "--task", "text"),
         "task text trains a model: --model is for convert-only\n"
         "  hint: leave out --task or --model\n"),
        (("--task", "convert-only"),
         "a model to convert is missing\n"
         "  hint: name it with --model FILE, or choose another task\n"),
        (("--data", photos, "--task", "sound"),
         "photos: a folder of pictures for each class (3 folders with 12 pictures)\n"
         "the data are not for task sound\n"
         "  got: photos: a folder of pictures for each class (3 folders with 12 pictures)\n"
         "  allowed: a folder of WAV files for each label\n"
         "  hint: these mean task image-classification\n"),
        (("--model", "net.onnx", "--input", "image"),
         "'image' is no input\n  allowed: NAME=SIZE,SIZE,...: image=1,3,224,224\n"),
    ]  # fmt: skip
    for arguments, want in table:
        assert main(["init", "app", *arguments]) == 2, arguments
        told = capsys.readouterr()
        assert told.out + told.err == want
    assert not Path("app").exists()


def test_dvc_s_refusal_of_a_remote_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "app", "--name", "a"]) == 0
    Path("app/.dvc/config").write_text("[core\n")
    capsys.readouterr()
    assert main(["init", "app", "--name", "b", "--remote", "s3://b/p"]) == 4
    said = capsys.readouterr().err
    assert said.startswith("DVC does not take 's3://b/p' as a remote\n  got: ERROR: ")
    assert "matched as neither section nor keyword" in said


def _asked(monkeypatch: pytest.MonkeyPatch, answers: str, *arguments: str) -> str:
    monkeypatch.setattr(init, "_on_terminal", lambda: True)
    done = CliRunner().invoke(
        init.command, ["app", *arguments], input=answers, standalone_mode=False
    )
    assert done.exception is None, done.output
    return done.output


def test_on_a_terminal_what_is_not_given_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = "pets\n\ntabular\nxgboost\niOS16\ngithub\ny\n\n"
    output = _asked(monkeypatch, answers)
    assert "Name of the pipeline [app]: pets\n" in output
    assert "tabular               tells one column of a table from the others\n" in output
    made = Path("app/pipelines/pets.yaml").read_text()
    assert "train/xgboost" in made
    assert "target: iOS16" in made
    assert Path("app/.github/workflows/pets.yml").is_file()
    assert Path("app/.git").is_dir()


def test_every_question_has_an_answer_to_begin_with(monkeypatch: pytest.MonkeyPatch) -> None:
    _asked(monkeypatch, "\n" * 9)
    assert "adapt/imagenet-classifier" in Path("app/pipelines/app.yaml").read_text()


def test_data_are_asked_for_and_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    data.sounds(Path("calls"))
    output = _asked(monkeypatch, "\ncalls\n\n\n\nn\n\ny\n")
    assert "Data to look at, a path (none: empty): calls\ncalls: a folder of WAV files" in output
    assert "Task (sound) [sound]: \n" in output
    assert Path("app/data/calls/low/0.wav").is_file()


def test_what_was_seen_of_data_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    data.table(Path("t.csv"))
    answers = "\n\nside\n\n\n\nn\n\ny\n"
    output = _asked(monkeypatch, answers, "--data", "t.csv")
    assert "Task (tabular) [tabular]: \n" in output
    assert "Column that is to be told (id, length, side, class) [class]: side\n" in output
    assert "target: side" in Path("app/pipelines/app.yaml").read_text()
    assert Path("app/data/t.csv").is_file()
    assert not Path("app/.git").exists()


def test_yes_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "?" not in _asked(monkeypatch, "", "--yes")


def test_a_model_without_sizes_is_asked_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("net.pt").write_bytes(b"x")
    _asked(monkeypatch, "\n\nspeech=1,80,100\n\nn\n\nn\n", "--model", "net.pt")
    made = yaml.safe_load(Path("app/pipelines/app.yaml").read_text())
    assert made["stages"]["convert"]["with"]["inputs"] == {"speech": {"shape": [1, 80, 100]}}
