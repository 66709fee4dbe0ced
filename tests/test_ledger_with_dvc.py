"""After a build plain DVC understands everything, whatever the repository looks like."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, Done

PIPELINE = """
version: 1
name: p
params: {epochs: 3}
datasets:
  photos: {path: data}
stages:
  train:
    run: >-
      cat ${{ inputs.photos }}/* > ${{ outputs.model }} &&
      echo ${{ params.epochs }} >> ${{ outputs.model }} &&
      echo '{"loss": 0.${{ params.epochs }}}' > ${{ outputs.metrics }} &&
      echo '[{"step": 1, "loss": 4}, {"step": 2, "loss": ${{ params.epochs }}}]'
      > ${{ outputs.plots }}
    inputs: {photos: datasets.photos}
    outputs: {model: build/model.bin}
    metrics: build/metrics.json
    plots: build/loss.json
  quantize:
    run: >-
      mkdir ${{ outputs.q }} && head -c ${{ matrix.bits }} ${{ inputs.model }} > ${{ outputs.q }}/w
      && echo ${{ matrix.bits }} > ${{ outputs.q }}/bits
      && wc -c < ${{ inputs.model }} > ${{ outputs.note }}
      && cp ${{ inputs.model }} ${{ outputs.large }}
    matrix: {bits: [4, 8]}
    inputs: {model: train.model}
    outputs:
      q: build/q${{ matrix.bits }}
      note: {path: "notes/q${{ matrix.bits }}.txt", cache: false}
      large: {path: "build/large${{ matrix.bits }}", push: false}
profiles:
  tiny: {params: {epochs: 1}}
"""

# One process for several commands: importing DVC costs more than what they do.
SEVERAL = """
import json, os, sys, tempfile
from dvc.cli import main
told, screen = [], os.dup(1)
for command in json.loads(sys.argv[1]):
    with tempfile.TemporaryFile() as out:
        os.dup2(out.fileno(), 1)
        code = main(command)
        sys.stdout.flush()
        out.seek(0)
        told.append([code, out.read().decode()])
os.write(screen, json.dumps(told).encode())
"""


@dataclass(frozen=True)
class Checkout:
    """A project on disk, and the tools in it."""

    root: Path
    env: dict[str, str]

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv, cwd=self.root, env=self.env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def git(self, *words: str) -> str:
        author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        return self.run("git", *author, *words).stdout

    def build(self, *words: str) -> Done:
        argv = ("mlbuild", "run", "pipelines/p.yaml", *words, "--json")
        done = self.run(*argv, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def dvc(self, *commands: str) -> list[str]:
        """What each command prints."""
        words = json.dumps([command.split() for command in commands])
        done = self.run(sys.executable, "-c", SEVERAL, words)
        told = json.loads(done.stdout)
        assert [code for code, _ in told] == [0] * len(commands), f"{told}\n{done.stderr}"
        return [text for _, text in told]

    def ignored(self) -> set[str]:
        """Every line of every .gitignore but DVC's own."""
        files = self.git("ls-files", "-co", "--", "*.gitignore").split()
        rows = [(Path(f).parent, (self.root / f).read_text()) for f in files if ".dvc/" not in f]
        return {f"{folder}{line}" for folder, text in rows for line in text.split() if line != "*"}

    def edit(self, old: str, new: str) -> None:
        file = self.root / "pipelines/p.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))


CLEAN = "Data and pipelines are up to date.\n"


def fill(root: Path) -> None:
    (root / "pipelines").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "pipelines/p.yaml").write_text(PIPELINE)
    (root / "data/1").write_text("one\n")
    (root / "data/2").write_text("two\n")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    place = tmp_path_factory.mktemp("tools")
    (place / "mlbuild").write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from mlbuild.__main__ import main\nsys.exit(main())\n"
    )
    (place / "mlbuild").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{place}:{os.environ['PATH']}",
        "CI": "true",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(place / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(place / "global"),
        "MLBUILD_CACHE_DIR": str(place / "cache"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> Checkout:
    """A project that was built, committed and pushed. No test may change it."""
    folder = tmp_path_factory.mktemp("owner")
    here = Checkout(folder / "project", env)
    fill(here.root)
    here.git("init", "-q")
    (here.root / "dvc.yaml").write_text("# mine\nstages:\n  mine:\n    cmd: echo hello\n")
    assert here.build().build["ran"] == 3
    here.dvc(f"remote add -q -d r {folder}/remote", "push -q")
    here.git("add", "-A")
    here.git("commit", "-qm", "built")
    return here


@pytest.fixture
def here(pushed: Checkout, tmp_path: Path) -> Iterator[Checkout]:
    """A copy of it to change."""
    shutil.copytree(pushed.root, tmp_path / "project", symlinks=True)
    yield Checkout(tmp_path / "project", pushed.env)


def test_plain_dvc_reads_all_of_a_build(pushed: Checkout) -> None:
    status, dag, metrics, plots, data, stages = pushed.dvc(
        "status --no-updates p-train p-quantize-bits-4 p-quantize-bits-8",
        "dag --dot",
        "metrics show --json",
        "plots show --json build/loss.json",
        "data status",
        "stage list --name-only",
    )
    assert status == CLEAN
    assert '"p-train" -> "p-quantize-bits-4"' in dag and '"data.dvc" -> "p-train"' in dag
    assert json.loads(metrics)[""]["data"]["build/metrics.json"]["data"] == {"loss": 0.3}
    assert "build/loss.json" in plots
    assert data == "No changes.\n"
    assert stages.split() == ["mine", "p-train", "p-quantize-bits-4", "p-quantize-bits-8"]


def test_git_keeps_what_is_not_cached_and_ignores_the_rest(pushed: Checkout) -> None:
    outputs = {f"build/{name}" for name in ("model.bin", "loss.json", "q4", "q8")}
    assert pushed.ignored() == outputs | {"./data", "build/large4", "build/large8"}
    kept = pushed.git("ls-files", "build", "notes").split()
    assert {*kept} == {"build/.gitignore", "build/metrics.json", "notes/q4.txt", "notes/q8.txt"}
    assert pushed.git("status", "--short") == ""


def test_outputs_carry_dvcs_own_flags(pushed: Checkout) -> None:
    found = yaml.safe_load((pushed.root / "dvc.yaml").read_text())["stages"]["p-quantize-bits-4"]
    assert found["outs"] == [
        {"build/large4": {"push": False}},
        "build/q4",
        {"notes/q4.txt": {"cache": False}},
    ]
    assert (pushed.root / "dvc.yaml").read_text().startswith("# mine\nstages:\n  mine:\n")


def test_a_change_is_told_between_two_commits(here: Checkout) -> None:
    here.edit("epochs: 3", "epochs: 5")
    assert here.build().build["ran"] == 3
    here.git("commit", "-qam", "longer")
    metrics, params, plots = here.dvc(
        "metrics diff HEAD~1 HEAD",
        "params diff --json HEAD~1 HEAD",
        "plots diff --json HEAD~1 HEAD --targets build/loss.json",
    )
    assert metrics.split()[-5:] == ["build/metrics.json", "loss", "0.3", "0.5", "0.2"]
    changed = json.loads(params)["pipelines/p-lock.json"]
    assert "stages.p-train.command" in changed and "stages.p-train.inputs.photos" not in changed
    assert "HEAD~1" in plots


def test_a_stale_stage_is_rebuilt_and_recorded_once_by_dvc_repro(here: Checkout) -> None:
    assert here.build("--profile", "tiny").build["ran"] == 3
    (here.root / "data/3").write_text("three\n")
    (told,) = here.dvc("repro p-quantize-bits-4 p-quantize-bits-8")
    assert told.count("Running stage") == 3
    assert (here.root / "build/model.bin").read_text() == "one\ntwo\nthree\n1\n"
    again, status = here.dvc("repro p-quantize-bits-4 p-quantize-bits-8", "status p-train")
    assert "Running stage" not in again and status == CLEAN
    built = here.build("--profile", "tiny").build
    assert (built["ran"], built["reused"]) == (0, 3)
    assert (here.root / "dvc.lock").read_text().count("\n  p-train:\n") == 1


def test_what_a_pin_says_is_a_parameter_of_the_stage(here: Checkout) -> None:
    """A build that DVC was not told of is one that `dvc repro` has to record."""
    here.edit("epochs: 3", "epochs: 5")
    assert here.build("--no-record").build["ran"] == 3
    (before,) = here.dvc("status p-train")
    assert "stages.p-train" in before
    (told, after) = here.dvc("repro p-quantize-bits-4 p-quantize-bits-8", "status p-train")
    assert told.count("Running stage") == told.count("1 restored") == 3 and after == CLEAN
    assert here.build().build["reused"] == 3


def test_collected_and_checked_out_by_dvc_it_is_right(here: Checkout) -> None:
    here.edit("epochs: 3", "epochs: 5")
    here.build()
    here.dvc("gc -q -w -f")
    here.edit("epochs: 5", "epochs: 3")
    shutil.rmtree(here.root / "build")
    here.git("checkout", "build")
    built = here.build().build  # the run cache's entries dangle; the remote has the objects
    # What was pushed comes back; `large` is made again where it is wanted.
    assert (built["outcome"], built["ran"] + built["restored"]) == ("ok", 3)
    assert (here.root / "build/model.bin").read_text() == "one\ntwo\n3\n"
    shutil.rmtree(here.root / "build/q4")
    here.dvc("checkout -q")
    assert here.dvc("status p-train p-quantize-bits-4 p-quantize-bits-8") == [CLEAN]
    assert here.build().build["reused"] == 3


def test_stages_that_come_and_go_take_their_lines_with_them(here: Checkout) -> None:
    whole = {n: (here.root / n).read_text() for n in ("dvc.lock", "dvc.yaml")}
    ignored = here.ignored()
    here.edit("bits: [4, 8]", "bits: [4]")
    here.edit("build/model.bin", "build/other.bin")
    here.build()
    assert "bits-8" not in (here.root / "dvc.yaml").read_text()
    assert "bits-8" not in (here.root / "dvc.lock").read_text()
    gone = {"build/q8", "build/large8", "build/model.bin"}
    assert here.ignored() == (ignored - gone) | {"build/other.bin"}
    here.edit("bits: [4]", "bits: [4, 8]")
    here.edit("build/other.bin", "build/model.bin")
    assert here.build().build["ran"] == 0
    for name, text in whole.items():
        assert (here.root / name).read_text() == text
    assert here.ignored() == ignored


def test_an_output_that_moves_into_git_is_ignored_no_more(here: Checkout) -> None:
    here.edit("{model: build/model.bin}", "{model: {path: build/model.bin, cache: false}}")
    here.build()
    assert "build/model.bin" not in here.ignored()
    assert here.dvc("status p-train") == [CLEAN]


def test_a_dvc_yaml_that_was_cut_off_is_told(here: Checkout) -> None:
    file = here.root / "dvc.yaml"
    text = file.read_text()
    file.write_text(text[: text.index("train --only")])
    here.edit("epochs: 3", "epochs: 5")
    done = here.build()
    assert done.code == 4
    assert done.err == (
        "dvc.yaml:5: stage 'p-train' ends in the middle: the file was cut off\n"
        "  hint: put the committed one back (git checkout -- dvc.yaml); mlbuild writes its own "
        "stages anew\n"
    )
    file.write_text(text)
    assert here.build().build["ran"] == 0


# --- the repository's shape ---------------------------------------------------------------------


def clone_of(top: Path, to: Path, *flags: str) -> None:
    subprocess.run(["git", "clone", "-q", *flags, f"file://{top}", str(to)], check=True)


def pushed_below(top: Checkout, remote: Path, *folders: str) -> list[Checkout]:
    projects = [Checkout(top.root / name, top.env) for name in folders]
    for project in projects:
        built = project.build().build
        assert (built["outcome"], built["ran"] + built["restored"]) == ("ok", 3)
        project.dvc(f"remote add -q -f -d r {remote}", "push -q")
    top.git("add", "-A")
    top.git("commit", "-qm", "built")
    return projects


@pytest.mark.parametrize("shape", ["clone", "shallow", "worktree"])
def test_another_checkout_pulls_and_runs_nothing(
    pushed: Checkout, tmp_path: Path, shape: str
) -> None:
    mate = Checkout(tmp_path / "mate", pushed.env)
    if shape == "worktree":
        owner = Checkout(tmp_path / "owner", pushed.env)
        clone_of(pushed.root, owner.root)
        owner.git("worktree", "add", "-q", str(mate.root))
    else:
        clone_of(pushed.root, mate.root, *(["--depth", "1"] if shape == "shallow" else []))
    mate.edit(", push: false", "")  # what does not travel has to be made again
    (mate.root / "dvc.yaml").write_text(
        (mate.root / "dvc.yaml").read_text().replace("push: false", "push: true")
    )
    built = mate.build("train").build
    assert (built["ran"], built["restored"]) == (0, 1)
    assert mate.git("diff", "--stat", "dvc.lock") == "", "the data is not here; its size is known"
    metrics, _ = mate.dvc("metrics show --json", "pull -q data.dvc")
    assert "0.3" in metrics
    assert mate.dvc("status p-train") == [CLEAN]


@pytest.mark.slow
def test_outside_git_dvc_is_content_too(tmp_path: Path, env: dict[str, str]) -> None:
    here = Checkout(tmp_path / "project", env)
    fill(here.root)
    assert here.build().build["ran"] == 3
    status, told = here.dvc("status", "repro")
    assert status == CLEAN and "Running stage" not in told
    assert not list(here.root.rglob("build/.gitignore"))


@pytest.mark.slow
@pytest.mark.parametrize("own", [True, False], ids=["a .dvc of its own", "one .dvc at the top"])
def test_two_projects_in_one_repository(tmp_path: Path, env: dict[str, str], own: bool) -> None:
    top = Checkout(tmp_path / "top", env)
    top.root.mkdir()
    top.git("init", "-q")
    if not own:
        top.dvc("init -q")
    for name in ("one", "two"):
        fill(top.root / name)
        (top.root / name / "pyproject.toml").touch()
        file = top.root / name / "pipelines/p.yaml"
        file.write_text(file.read_text().replace(", push: false", ""))
    (top.root / "two/data/1").write_text("another\n")
    one, two = pushed_below(top, tmp_path / "remote", "one", "two")
    assert (one.root / ".dvc").is_dir() is own
    status, told = one.dvc("status", "repro")
    assert status == CLEAN and "Running stage" not in told
    assert two.dvc("status") == [CLEAN]
    clone_of(top.root, tmp_path / "mate")
    for name in ("one", "two"):
        mate = Checkout(tmp_path / "mate" / name, env)
        built = mate.build().build
        assert (built["ran"], built["restored"]) == (0, 3)
        assert mate.git("status", "--short") == ""
        assert (mate.root / ".dvc").is_dir() is own
    assert (tmp_path / "mate/two/build/model.bin").read_text() == "another\ntwo\n3\n"


@pytest.mark.slow
def test_two_pipelines_in_one_project(here: Checkout) -> None:
    other = PIPELINE.replace("name: p\n", "name: o\n").replace("build/", "out/")
    other = other.replace("notes/", "remarks/").replace("epochs: 3", "epochs: 7")
    (here.root / "pipelines/o.yaml").write_text(other)
    here.run("mlbuild", "run", "pipelines/o.yaml")
    status, stages = here.dvc("status o-train p-train", "stage list --name-only")
    assert status == CLEAN
    assert {"o-train", "p-train", "o-quantize-bits-8", "p-quantize-bits-8"} <= {*stages.split()}
    assert here.build().build["reused"] == 3
    assert here.dvc("status o-train p-train o-quantize-bits-4") == [CLEAN]


@pytest.mark.slow
@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_with_linked_caches_a_build_leaves_dvc_content(here: Checkout, link: str) -> None:
    here.dvc(f"config cache.type {link}")
    here.edit("epochs: 3", "epochs: 5")
    assert here.build().build["ran"] == 3
    assert here.dvc("status p-train p-quantize-bits-4 p-quantize-bits-8") == [CLEAN]
    here.edit("epochs: 5", "epochs: 3")
    assert here.build().build["ran"] == 0
    here.edit("epochs: 3", "epochs: 5")
    assert here.build().build["ran"] == 0
    assert (here.root / "build/model.bin").read_text() == "one\ntwo\n5\n"


def test_dvcs_other_lock_is_honoured(here: Checkout) -> None:
    """`core.hardlink_lock`, for filesystems without flock: nobody waits for ever."""
    here.dvc("config core.hardlink_lock true")
    for name in ("lock", "rwlock.lock"):  # of the other kind: DVC would not start either
        (here.root / ".dvc/tmp" / name).unlink(missing_ok=True)
    here.edit("epochs: 3", "epochs: 5")
    assert here.build().build["ran"] == 3
    assert here.dvc("status p-train") == [CLEAN]
    left = [file.name for file in (here.root / ".dvc/tmp").iterdir()]
    assert not [name for name in left if name == "lock" or name.endswith(".lock")], left
