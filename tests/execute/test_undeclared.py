"""What of a stage's reads is told, and what a build makes of it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlbuild.attempts import Finished
from mlbuild.execute import advice
from mlbuild.execute.local import LocalExecutor
from mlbuild.execute.reads import Access, noted, notes_file, watched
from mlbuild.execute.undeclared import Found, Project
from mlbuild.records import Dataset, Input, Output, PathRef, ResolvedPipeline, Stage
from tests.conftest import Done

Run = Callable[..., Done]

BEGAN = 1000


def project(root: Path, *stages: Stage) -> Project:
    photos = {"photos": Dataset("photos", "path", "data/photos")}
    return Project(ResolvedPipeline("p", root / "p.yaml", root, {}, stages, photos, {}))


NOTES = Stage("notes", "notes", outputs=(Output("page", "build/notes.html"),))
TRAIN = Stage("train", "train", outputs=(Output("model", "build/p/train/model"),))
Q4, Q8 = (
    Stage(
        f"quantize[bits={n}]",
        "quantize",
        (("bits", n),),
        outputs=(Output("model", f"build/q{n}"),),
    )
    for n in (4, 8)
)


def told(
    root: Path,
    reads: Iterable[str],
    allowed: Iterable[str] = (),
    stage: Stage = NOTES,
    changed: int = BEGAN - 1,
) -> list[tuple[str, int]]:
    """What is told of these reads; a name that ends in '/' was listed."""
    accesses = [
        Access(os.path.normpath(root / name), name.endswith("/"), changed) for name in reads
    ]
    found = project(root, NOTES, TRAIN, Q4, Q8).undeclared(
        stage, accesses, [root / name for name in allowed], BEGAN
    )
    return [tuple(item) for item in found]


def test_a_file_is_told_once_by_its_path(tmp_path: Path) -> None:
    assert told(tmp_path, ["b.csv", "a b.csv", "b.csv"]) == [("./a b.csv", 1), ("./b.csv", 1)]


def test_what_is_declared_is_not_told(tmp_path: Path) -> None:
    assert told(tmp_path, ["a.csv", "d/deep/b", "d/"], ["a.csv", "d"]) == []
    assert told(tmp_path, ["ab", "d2/x"], ["a", "d"]) == [("./ab", 1), ("./d2/x", 1)]


def test_what_the_stage_wrote_itself_is_not_told(tmp_path: Path) -> None:
    assert told(tmp_path, ["a.csv", "d/"], changed=BEGAN) == []


def test_an_output_of_another_stage_is_told_by_its_name_even_when_it_is_new(tmp_path: Path) -> None:
    reads = ["build/p/train/model/weights.bin", "build/p/train/model/a", "build/q4"]
    assert told(tmp_path, reads, changed=BEGAN + 1) == [
        ("quantize[bits=4].model", 1),
        ("train.model", 2),
    ]


def test_an_output_of_the_paired_variant_is_told_by_its_stage(tmp_path: Path) -> None:
    paired = Stage("check[bits=4,x=1]", "check", (("bits", 4), ("x", 1)))
    assert told(tmp_path, ["build/q4"], stage=paired) == [("quantize.model", 1)]
    assert told(tmp_path, ["build/q8"], stage=paired) == [("quantize[bits=8].model", 1)]


def test_a_dataset_is_told_by_its_name(tmp_path: Path) -> None:
    assert told(tmp_path, ["data/photos/a.jpg", "data/photos/"]) == [("datasets.photos", 1)]


def test_many_files_are_told_as_the_narrowest_folder_that_holds_them(tmp_path: Path) -> None:
    few = [f"d/{n}" for n in range(4)]
    assert told(tmp_path, few) == [(f"./{name}", 1) for name in few]
    assert told(tmp_path, [*few, "d/4"]) == [("./d/", 5)]
    assert told(tmp_path, [f"a/b/c/{n}" for n in range(12_000)]) == [("./a/b/c/", 12_000)]
    two = [f"a/{half}/{n}" for half in "xy" for n in range(3)]
    assert told(tmp_path, [*two, "z.csv"]) == [("./a/", 6), ("./z.csv", 1)]


def test_a_folder_that_holds_outputs_cannot_be_an_input_and_is_not_told(tmp_path: Path) -> None:
    reads = ["build/", "build/p/", *(f"build/side/{n}" for n in range(5))]
    assert told(tmp_path, reads) == [("./build/side/", 5)]
    many = [f"build/{n}.txt" for n in range(5)]
    assert told(tmp_path, many) == [(f"./{name}", 1) for name in many]


def test_a_listed_folder_takes_in_what_was_read_below_it(tmp_path: Path) -> None:
    assert told(tmp_path, ["d/", "d/a", "e/"]) == [("./d/", 1), ("./e/", 0)]


def test_a_folder_s_listing_is_told_though_each_file_is_declared(tmp_path: Path) -> None:
    assert told(tmp_path, ["d/", "d/a"], ["d/a"]) == [("./d/", 0)]


@pytest.mark.parametrize(
    "path",
    [
        ".git/HEAD",
        "sub/.git/config",
        ".dvc/config",
        ".mlbuild/x",
        "build/p/.work/train/x",
        "env/lib/site.py",
        "/elsewhere/x",
    ],
)
def test_machinery_and_other_places_are_no_inputs(tmp_path: Path, path: str) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env/pyvenv.cfg").touch()
    assert told(tmp_path, [path]) == []


def test_links_lead_to_what_is_declared(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").touch()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link").symlink_to("real/a")
    assert told(tmp_path, ["folder/a", "link"], ["real"]) == []
    assert told(tmp_path, ["real/a"], ["folder"]) == []
    assert told(tmp_path, ["folder/a", "link"]) == [("./folder/a", 1), ("./link", 1)]
    (tmp_path / "build/p/train").mkdir(parents=True)
    (tmp_path / "model").symlink_to("build/p/train/model")
    assert told(tmp_path, ["model"]) == [("train.model", 1)]


class TestAdvice:
    STAGE = Stage("s", "s", command="true", inputs=(Input("notes", (PathRef("x"),)),))

    @pytest.mark.parametrize(
        ("reference", "line"),
        [
            ("./tools/clean.py", "clean: ./tools/clean.py"),
            ("./data/", "data: ./data/"),
            ("./notes.txt", "notes_2: ./notes.txt"),
            ("./my data/ä b: c.csv", 'b_c: "./my data/ä b: c.csv"'),
            ("./pkg/__init__.py", "pkg: ./pkg/__init__.py"),
            ("./.hidden", "hidden: ./.hidden"),
            ("./2024-01.csv", "input_2024_01: ./2024-01.csv"),
            ("./ü", "input: ./ü".replace("./ü", '"./ü"')),
            ("train.model", "model: train.model"),
            ("quantize[bits=4].model", 'model: "quantize[bits=4].model"'),
            ("datasets.photos", "photos: datasets.photos"),
        ],
    )
    def test_the_line_to_add(self, reference: str, line: str) -> None:
        assert list(advice.input_lines(self.STAGE, [reference])) == [line]

    def test_two_lines_never_have_one_name(self) -> None:
        lines = advice.input_lines(self.STAGE, ["./a/x.csv", "./b/x.csv", "./c/x.csv"])
        assert list(lines) == ["x: ./a/x.csv", "x_2: ./b/x.csv", "x_3: ./c/x.csv"]

    def test_what_was_done_is_said(self) -> None:
        found = [Found("./data/", 12_000), Found("./e/", 0), Found("./f/", 1), Found("t.m", 3)]
        assert list(advice.warnings(self.STAGE, found)) == [
            "s read 12,000 files below data/, which it does not declare; "
            "add to its inputs: data: ./data/",
            "s listed the folder e/, which it does not declare; add to its inputs: e: ./e/",
            "s read 1 file below f/, which it does not declare; add to its inputs: f: ./f/",
            "s read t.m, which it does not declare; add to its inputs: m: t.m",
        ]

    def test_a_kind_has_to_take_the_input_or_share_the_code(self) -> None:
        stage = Stage("s", "s", kind="my/count")
        first, second = advice.warnings(
            stage, [Found("./a.csv", 1), Found("./stages/my/other/code.py", 1)]
        )
        assert first.endswith("a: ./a.csv (its kind my/count has to take that input)")
        assert second.endswith("(or let its kind my/count import it from stages/_shared/)")

    def test_the_eleventh_is_only_counted(self) -> None:
        lines = [str(n) for n in range(47)]
        shown = advice.shortened(self.STAGE, lines, ".mlbuild/logs/p/s.log")
        assert shown[:10] == lines[:10]
        assert shown[10:] == ["s read 37 more that it does not declare (see .mlbuild/logs/p/s.log)"]
        assert advice.shortened(self.STAGE, lines[:10], "") == lines[:10]

    def test_a_refusal_names_everything(self) -> None:
        now = advice.refusal(self.STAGE, ["./a.csv", "t.m"])
        assert now.message == "it read what it does not declare (strict: true): a.csv, t.m"
        assert now.hint == "add to its inputs: a: ./a.csv; m: t.m"
        then = advice.refusal(self.STAGE, [f"./{n}.csv" for n in "abcdefghijkl"], remembered=True)
        assert then.message.startswith("when it ran, it read what it does not declare")
        assert then.message.endswith("i.csv, j.csv, and 2 more")
        assert (then.hint or "").endswith(". If it does not read them any more: --force s")


# --- stages of kinds ------------------------------------------------------------------------------


@pytest.fixture(params=["forked", "fresh", "preloaded"])
def kind(
    request: pytest.FixtureRequest, work: Any, python: Path
) -> Iterator[Callable[[str], set[str]]]:
    """Runs code as a kind does; what was noted, relative to the root."""
    executor = LocalExecutor(2, grace=0.5)

    def go(code: str) -> set[str]:
        work.kind(f"def run(job):\n    {code}\n    job.outputs['model'].write_text('m')\n")
        task = work.task(work.job(), python, fresh=request.param == "fresh")
        place = work.scratch / "thing"
        place.mkdir(exist_ok=True)
        env = watched(task.env, work.root, notes_file(place), [])
        preload = ("json",) if request.param == "preloaded" else ()
        executor.submit(replace(task, env=env, preload=preload))
        events: list[Any] = []
        while got := executor.wait(60):
            events += got
        end = events[-1]
        assert isinstance(end, Finished)
        assert end.failure is None, end.failure
        return {os.path.relpath(a.path, work.root) for a in noted(notes_file(place))}

    yield go
    executor.close()


def test_what_a_kind_and_its_own_processes_read_is_noted(kind: Any, work: Any) -> None:
    for name in "abc":
        (work.root / f"{name}.csv").write_text(name)
    inner = "import sys; open('b.csv').close()"
    code = (
        "import os, subprocess, sys; open('a.csv').close(); "
        f"subprocess.check_call([sys.executable, '-c', {inner!r}]); "
        "pid = os.fork(); pid == 0 and (open('c.csv').close(), os._exit(0)); os.waitpid(pid, 0)"
    )
    own = {"stages/train/thing/run.py"}
    assert kind(code) - own == {"a.csv", "b.csv", "c.csv"}
    (work.root / "d.csv").write_text("d")
    os.unlink(notes_file(work.scratch / "thing"))
    assert kind("open('d.csv').close()") - own == {"d.csv"}  # also from the same server


# --- whole builds ---------------------------------------------------------------------------------

PIPELINE = """
stages:
  train: {run: "echo m > ${{ outputs.model }}", outputs: {model: build/model.txt}}
  notes:
    run: |
      echo mine > tools/mine.txt
      python tools/notes.py ${{ outputs.page }}
    needs: [train]
    outputs: {page: build/notes.html}
"""
SCRIPT = """
import sys, near
for name in ("build/model.txt", "tools/mine.txt", "pipelines/p.yaml"):
    open(name).close()
print("token is", open("tools/s3cret.txt").read())
open(sys.argv[1], "w").write("page")
"""
UNDECLARED = [
    "train.model",
    "./pipelines/p.yaml",
    "./tools/near.py",
    "./tools/notes.py",
    "./tools/s3cret.txt",
]


@pytest.fixture
def notes(project: Path, pipeline: Callable[[str], Path], mlbuild: Run) -> Run:
    tools = project / "tools"
    tools.mkdir()
    (tools / "notes.py").write_text(SCRIPT)
    (tools / "near.py").write_text("A = 1\n")
    (tools / "s3cret.txt").write_text("x")
    pipeline(PIPELINE)
    return lambda *more, **env: mlbuild("run", "pipelines/p.yaml", *more, **env)


def undeclared(done: Done, stage: str = "notes") -> list[str] | None:
    (event,) = [e for e in done.events if e.get("stage") == stage]
    return event.get("undeclared")


@pytest.mark.usefixtures("project")
class TestBuild:
    def test_a_command_s_reads_are_told_with_the_line_to_add(
        self, notes: Run, project: Path
    ) -> None:
        done = notes()
        assert done.code == 0, done.err
        assert [line for line in done.out.splitlines() if "warning" in line] == [
            "warning: notes read train.model, which it does not declare; "
            "add to its inputs: model: train.model",
            "warning: notes read pipelines/p.yaml, which it does not declare; "
            "add to its inputs: p: ./pipelines/p.yaml",
            "warning: notes read tools/near.py, which it does not declare; "
            "add to its inputs: near: ./tools/near.py",
            "warning: notes read tools/notes.py, which it does not declare; "
            "add to its inputs: notes: ./tools/notes.py",
            "warning: notes read tools/s3cret.txt, which it does not declare; "
            "add to its inputs: s3cret: ./tools/s3cret.txt",
        ]
        log = (project / ".mlbuild/logs/p/notes.log").read_text()
        assert "\ntoken is x\n--- notes read train.model, which" in log
        assert not list((project / "build").rglob(".reads"))

    def test_it_is_remembered_wherever_the_result_comes_from(
        self, notes: Run, project: Path, mlbuild: Run
    ) -> None:
        assert undeclared(notes("--json")) == UNDECLARED
        again = notes("--json")
        assert (again.outcomes["notes"], undeclared(again)) == ("reused", UNDECLARED)
        unchanged = notes("--json")  # by the no-op path
        assert undeclared(unchanged) == UNDECLARED
        shutil.rmtree(project / ".mlbuild")
        (project / "build/notes.html").unlink()
        restored = notes("--json")
        assert (restored.outcomes["notes"], undeclared(restored)) == ("restored", UNDECLARED)
        status = mlbuild("status", "pipelines/p.yaml")
        assert (
            "    it reads what it does not declare: train.model, pipelines/p.yaml, "
            "tools/near.py, tools/notes.py, tools/s3cret.txt\n"
        ) in status.out
        assert undeclared(mlbuild("status", "pipelines/p.yaml", "--json")) == UNDECLARED
        explained = mlbuild("explain", "pipelines/p.yaml", "notes").out
        assert "tools/s3cret.txt; no change of that is noticed\n" in explained
        other = project / "other.txt"  # a leaf that changed: all else stands as it is
        other.write_text("1")
        leaf = "  leaf: {run: 'cat other.txt > ${{ outputs.o }}', inputs: {i: ./other.txt}, "
        file = project / "pipelines/p.yaml"
        file.write_text(file.read_text() + leaf + "outputs: {o: leaf.txt}}\n")
        assert notes("--json").outcomes["leaf"] == "ran"
        other.write_text("2")
        stands = notes("--json")
        assert stands.outcomes == {"train": "reused", "notes": "reused", "leaf": "ran"}
        assert undeclared(stands) == UNDECLARED

    def test_it_is_no_part_of_the_key(self, notes: Run, project: Path) -> None:
        keys = [{e["stage"]: e.get("key") for e in notes("--json").events[:-1]}]
        (project / "tools/near.py").write_text("A = 2\n")
        (project / "tools/notes.py").write_text("import sys; open(sys.argv[1], 'w').write('x')")
        done = notes("--force", "notes", "--json")
        keys.append({e["stage"]: e.get("key") for e in done.events[:-1]})
        assert keys[0] == keys[1]
        assert undeclared(done) == ["./tools/notes.py"]

    def test_strict_makes_it_an_error_and_keeps_nothing(self, notes: Run, project: Path) -> None:
        file = project / "pipelines/p.yaml"
        file.write_text(file.read_text().replace("name: p\n", "name: p\nstrict: true\n"))
        done = notes("--json")
        assert (done.code, done.outcomes) == (1, {"train": "ran", "notes": "failed"})
        (event,) = [e for e in done.events if e.get("stage") == "notes"]
        assert event["error"] == {
            "message": "it read what it does not declare (strict: true): train.model, "
            "pipelines/p.yaml, tools/near.py, tools/notes.py, tools/s3cret.txt",
            "hint": "add to its inputs: model: train.model; p: ./pipelines/p.yaml; "
            "near: ./tools/near.py; notes: ./tools/notes.py; s3cret: ./tools/s3cret.txt",
        }
        assert event["undeclared"] == UNDECLARED
        assert not (project / "build/notes.html").exists()
        assert notes("--json").outcomes == {"train": "reused", "notes": "failed"}

    def test_strict_later_judges_what_is_only_reused(self, notes: Run, project: Path) -> None:
        assert notes().code == 0
        file = project / "pipelines/p.yaml"
        file.write_text(file.read_text().replace("name: p\n", "name: p\nstrict: true\n"))
        done = notes("--json")
        assert (done.code, done.outcomes) == (1, {"train": "reused", "notes": "failed"})
        (event,) = [e for e in done.events if e.get("stage") == "notes"]
        assert event["error"]["message"].startswith("when it ran, it read what it does not declare")
        assert notes("--json").code == 1
        (project / "tools/notes.py").write_text("import sys; open(sys.argv[1], 'w').write('x')")
        still = notes("--force", "notes")
        assert "(strict: true): tools/notes.py" in still.out

    def test_what_is_declared_then_passes(self, notes: Run, project: Path) -> None:
        file = project / "pipelines/p.yaml"
        text = file.read_text().replace("name: p\n", "name: p\nstrict: true\n")
        lines = "{model: train.model, p: ./pipelines/p.yaml, code: ./tools/}"
        file.write_text(text.replace("needs: [train]", f"inputs: {lines}"))
        (project / "tools/notes.py").write_text(SCRIPT.replace('"tools/mine.txt", ', ""))
        file.write_text(file.read_text().replace("echo mine > tools/mine.txt", "true"))
        done = notes("--json")
        assert done.code == 0, done.out
        assert done.outcomes == {"train": "ran", "notes": "ran"}
        assert undeclared(done) is None
        assert not list(project.rglob("__pycache__"))  # the folder of the code is an input

    def test_a_secret_in_a_name_does_not_show(
        self, notes: Run, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TOKEN", "s3cret")
        file = project / "pipelines/p.yaml"
        file.write_text(file.read_text().replace("    needs:", "    secrets: [TOKEN]\n    needs:"))
        done = notes()
        assert done.code == 0, done.out
        assert "tools/***.txt" in done.out
        kept = [p for p in project.rglob("*") if p.is_file() and "tools" not in p.parts]
        assert not [p for p in kept if b"s3cret" in p.read_bytes()]

    def test_only_ten_are_shown_and_all_are_in_the_log(self, notes: Run, project: Path) -> None:
        for n in range(30):
            (project / f"{n}.csv").touch()
        code = "import sys\nfor n in range(30): open('%d.csv' % n).close()\n"
        (project / "tools/notes.py").write_text(code + "open(sys.argv[1], 'w').close()")
        done = notes()
        lines = [line for line in done.out.splitlines() if "warning" in line]
        assert len(lines) == 11
        assert lines[-1] == (
            "warning: notes read 21 more that it does not declare (see .mlbuild/logs/p/notes.log)"
        )
        log = (project / ".mlbuild/logs/p/notes.log").read_text()
        assert log.count("which it does not declare") == 31
        assert len(undeclared(notes("--json")) or ()) == 31

    def test_a_failed_stage_tells_its_failure_alone(self, notes: Run, project: Path) -> None:
        (project / "tools/notes.py").write_text("raise SystemExit(3)")
        done = notes()
        assert done.code == 1
        assert "does not declare" not in done.out

    def test_a_stage_with_a_path_of_its_own_finds_its_modules(
        self, notes: Run, project: Path
    ) -> None:
        (project / "src").mkdir()
        (project / "src/own.py").touch()
        file = project / "pipelines/p.yaml"
        file.write_text(
            file.read_text().replace("    needs:", "    env: {PYTHONPATH: src}\n    needs:")
        )
        (project / "tools/notes.py").write_text("import own, sys; open(sys.argv[1], 'w').close()")
        assert undeclared(notes("--json")) == ["./src/own.py", "./tools/notes.py"]


def test_the_python_of_each_toolchain_is_watched_in_commands(
    project: Path, pipeline: Callable[[str], Path], mlbuild: Run
) -> None:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    (project / "plain.txt").write_text("# nothing but Python itself\n")
    (project / "a.csv").touch()
    pipeline(
        f"""
toolchains:
  plain: {{python: "{minor}", requirements: ./plain.txt}}
stages:
  one:
    run: python -c "open('a.csv'); open('${{{{ outputs.o }}}}', 'w')"
    toolchain: plain
    outputs: {{o: o.txt}}
"""
    )
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0, done.out + done.err
    assert undeclared(done, "one") == ["./a.csv"]
