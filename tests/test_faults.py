"""Killed processes, full disks, damaged files: the next run is right, whatever happened before.

Every test drives the command line. A *fault* is injected, then one more plain run has to bring
the project to what an undisturbed build gives.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Done
from tests.faults.world import BUILD, expected, leftovers, there

Run = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]
Write = Callable[[str], Path]
IN_PLACE = {"ran", "reused", "restored"}


def dvc(*arguments: str) -> str:
    """Runs plain DVC in the project."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture
def built(project: Path, pipeline: Write, mlbuild: Run) -> Run:
    """`BUILD`, built once; a function that runs it with more arguments."""
    (project / "src.txt").write_text("first\n")
    pipeline(BUILD)
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0, done.out + done.err
    return lambda *more, **env: mlbuild("run", "pipelines/p.yaml", "--json", *more, **env)


def slow(*values: object) -> Any:
    """A row of a table that only the whole suite tries."""
    return pytest.param(*values, marks=pytest.mark.slow)


# --- SIGKILL -----------------------------------------------------------------------------------


def kill_at_random(
    project: Path, start: Start, run: Run, moments: int, seed: int, *more: str
) -> int:
    """Kills that many builds, each followed by one to the end. Returns how many were hit alive."""
    chance, hit, old = random.Random(seed), 0, "first\n"
    seconds = 0.5  # of a build; then what the last one took on this machine
    for number in range(moments):
        # Lengths differ, so that no stat cache can mistake one for another by luck.
        new = "".join(f"{chance.random()}\n" for _ in range(chance.randint(1, 40)))
        (project / "src.txt").write_text(new)
        process = start("run", "pipelines/p.yaml", "--json", *more)
        time.sleep(chance.uniform(0.05, 0.9) * seconds)
        process.kill()
        out, _ = process.communicate(timeout=60)
        hit += process.returncode == -signal.SIGKILL
        whole = out[: out.rfind("\n") + 1]
        before, after = expected(old), expected(new)
        for path, text in there(project).items():
            # A command that does not mention its output writes it in place: it may be on its way.
            writing = path == "out/declared.txt" and after[path].startswith(text)
            assert writing or text in (before[path], after[path]), (
                f"moment {number}: {path} is half done"
            )
        told = {
            e["stage"]: e["key"]
            for e in Done(0, whole, "").events
            if e["event"] == "stage" and e["outcome"] in IN_PLACE
        }
        for half in project.glob(".dvc/cache/files/.mlbuild/*"):
            os.utime(half, (0, 0))  # such files are swept after an hour: others may share the cache
        began = time.monotonic()
        done = run(*more)
        seconds = time.monotonic() - began
        assert done.code == 0, done.out + done.err
        keys = {e["stage"]: e["key"] for e in done.events if e["event"] == "stage"}
        lost = [s for s in told if keys[s] == told[s] and done.outcomes[s] == "ran"]
        assert not lost, f"moment {number}: told as done, yet run again"
        assert told.items() <= keys.items()
        assert there(project) == after, f"moment {number}"
        assert not leftovers(project)
        old = new
    return hit


def undisturbed(project: Path, mlbuild: Run, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The ledger of a first and only build of the same sources, elsewhere."""
    other = project.parent / "undisturbed"
    shutil.copytree(project / "pipelines", other / "pipelines")
    (other / "pipelines/p-lock.json").unlink()
    shutil.copy(project / "src.txt", other)
    subprocess.run(["git", "init", "-q", "."], cwd=other, check=True)
    monkeypatch.chdir(other)
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    assert there(other) == there(project)
    monkeypatch.chdir(project)
    return ledger(other)


def ledger(root: Path) -> dict[str, bytes]:
    files = ("dvc.yaml", "dvc.lock", "pipelines/p-lock.json", "out/.gitignore")
    return {name: (root / name).read_bytes() for name in files}


def check_kills(
    project: Path,
    start: Start,
    mlbuild: Run,
    built: Run,
    monkeypatch: pytest.MonkeyPatch,
    moments: int,
    seed: int,
    *more: str,
) -> None:
    hit = kill_at_random(project, start, built, moments, seed, *more)
    assert hit > moments // 3, "most builds ended before they were killed: nothing was tested"
    assert ledger(project) == undisturbed(project, mlbuild, monkeypatch)
    assert "up to date" in dvc("status")


def test_builds_killed_at_random_moments_lose_nothing(
    project: Path, start: Start, mlbuild: Run, built: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_kills(project, start, mlbuild, built, monkeypatch, 6, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "jobs"), [(2, "1"), (3, "3")])
def test_builds_killed_at_many_random_moments_lose_nothing(
    project: Path,
    start: Start,
    mlbuild: Run,
    built: Run,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    jobs: str,
) -> None:
    check_kills(project, start, mlbuild, built, monkeypatch, 30, seed, "-j", jobs)


def processes_of(leader: int) -> list[int]:
    """The processes below one, children of children too."""
    rows = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.split()
    parent = dict(zip(map(int, rows[::2]), map(int, rows[1::2]), strict=True))
    found = [leader]
    for _ in range(8):
        found += [p for p, above in parent.items() if above in found and p not in found]
    return found[1:]


def test_stage_processes_killed_at_random_are_failures_and_run_again(
    project: Path, start: Start, built: Run
) -> None:
    chance = random.Random(4)
    for number in range(4):
        (project / "src.txt").write_text(f"{number}\n" * 7)
        process = start("run", "pipelines/p.yaml", "--json", "-j", "2")
        victims: list[int] = []
        while not victims and process.poll() is None:
            time.sleep(chance.uniform(0, 0.02))
            victims = processes_of(process.pid)
        for victim in chance.sample(victims, min(2, len(victims))):
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
        out, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1), out + err
        assert "Traceback" not in out + err
        assert built().code == 0
        assert there(project) == expected(f"{number}\n" * 7)
        assert not leftovers(project)


# --- a full disk -------------------------------------------------------------------------------


@pytest.fixture
def small_disk(project: Path) -> Iterator[Callable[[Path, str], Path]]:
    """Mounts a small filesystem on a folder of the project."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"no filesystem can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Takes all space of a filesystem but ``leave`` bytes; returns the file to delete."""
    ballast = folder / ".ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"\0" * 4096)
            except OSError:
                break
    if leave:
        os.truncate(ballast, max(0, ballast.stat().st_size - leave))
    return ballast


BIG = """\
stages:
  small: {run: "echo small > ${{ outputs.o }}", outputs: {o: out/small.txt}}
  big:
    run: head -c 1500000 /dev/zero > ${{ outputs.o }}
    inputs: {s: small.o}
    outputs: {o: out/big.bin}
"""


def test_a_full_cache_is_told_and_the_next_run_is_right(
    project: Path, pipeline: Write, mlbuild: Run, small_disk: Callable[[Path, str], Path]
) -> None:
    cache = small_disk(project / ".dvc/cache", "2m")
    pipeline(BIG)
    ballast = fill(cache, leave=600_000)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 4
    assert "no space left for" in done.out
    assert "hint: free some space on that filesystem and run again" in done.out
    assert "Traceback" not in done.out + done.err
    assert not (project / "out/big.bin").exists()
    ballast.unlink()
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert again.code == 0
    assert again.outcomes == {"small": "reused", "big": "ran"}
    assert (project / "out/big.bin").stat().st_size == 1_500_000
    assert "up to date" in dvc("status")


def test_a_full_disk_below_an_output_leaves_the_former_one(
    project: Path, pipeline: Write, mlbuild: Run, small_disk: Callable[[Path, str], Path]
) -> None:
    out = small_disk(project / "out", "2m")
    pipeline(BIG.replace("1500000", "7"))
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    pipeline(BIG)
    ballast = fill(out, leave=600_000)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 1
    assert "No space left on device" in done.out
    assert (out / "big.bin").stat().st_size == 7
    ballast.unlink()
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert again.outcomes == {"small": "reused", "big": "ran"}
    assert (out / "big.bin").stat().st_size == 1_500_000


@pytest.mark.parametrize("place", [".mlbuild", slow("build"), slow(".dvc")])
def test_no_space_for_what_the_engine_itself_writes_is_told(
    project: Path, built: Run, mlbuild: Run, place: str, small_disk: Callable[[Path, str], Path]
) -> None:
    shutil.rmtree(project / place)
    disk = small_disk(project / place, "1m")
    assert built().code == 0
    (project / "src.txt").write_text("second\n")
    ballast = fill(disk)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 4, done.out + done.err
    assert "o space left" in done.out + done.err
    assert "Traceback" not in done.out + done.err
    ballast.unlink()
    assert built().code == 0
    assert there(project) == expected("second\n")
    assert not leftovers(project)


@pytest.mark.parametrize("pages", [range(0, 40, 10), slow(range(1, 120, 3))])
def test_a_disk_that_fills_up_anywhere_in_a_build_does_no_harm(
    project: Path,
    pipeline: Write,
    mlbuild: Run,
    small_disk: Callable[[Path, str], Path],
    monkeypatch: pytest.MonkeyPatch,
    pages: range,
) -> None:
    root = small_disk(project.parent / "small", "4m")
    shutil.copytree(project, root, dirs_exist_ok=True)
    monkeypatch.chdir(root)
    (root / "src.txt").write_text("first\n")
    (root / "pipelines/p.yaml").write_text(f"version: 1\nname: p\n{BUILD}")
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    codes = set()
    for page in pages:
        (root / "src.txt").write_text(f"{page}\n" * 9)
        ballast = fill(root, leave=4096 * page)
        done = mlbuild("run", "pipelines/p.yaml")
        codes.add(done.code)
        assert done.code in (0, 1, 4), done.out + done.err
        assert done.code == 0 or "o space left" in done.out + done.err, done.out + done.err
        assert "Traceback" not in done.out + done.err, done.out + done.err
        before, after = expected(f"{page - pages.step}\n" * 9), expected(f"{page}\n" * 9)
        for path, text in there(root).items():
            assert text in (before[path], after[path]) or page == pages[0], path
        ballast.unlink()
        again = mlbuild("run", "pipelines/p.yaml", "--json")
        assert again.code == 0, f"{page} pages: {again.out}{again.err}"
        assert there(root) == after
        assert not leftovers(root)
    assert 4 in codes
    assert "up to date" in dvc("status")


# --- damaged knowledge ---------------------------------------------------------------------------

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "random": lambda data: random.Random(5).randbytes(len(data)),
    "flipped": lambda data: bytes(b ^ (i % 97 == 40) for i, b in enumerate(data)),
    "newer": lambda data: data.replace(b'"version",1', b'"version",99'),
}


@pytest.mark.parametrize("damage", ["truncated", *(slow(d) for d in DAMAGE if d != "truncated")])
def test_damaged_state_files_change_nothing_but_time(
    project: Path, built: Run, damage: str
) -> None:
    assert built().build["reused"] == 6
    files = [p for p in (project / ".mlbuild").rglob("*") if p.is_file() and p.name != ".gitignore"]
    assert {p.parent.name for p in files} >= {"build", "noop"}
    for file in files:
        data = file.read_bytes()
        file.write_bytes(DAMAGE[damage](data))
        done = built()
        assert done.code == 0, f"{file}: {done.out}{done.err}"
        assert set(done.outcomes.values()) <= {"reused", "restored"}, file
        assert there(project) == expected("first\n")
    assert "up to date" in dvc("status")


@pytest.mark.parametrize("damage", ["random", *(slow(d) for d in DAMAGE if d != "random")])
def test_all_state_files_damaged_at_once_change_nothing_but_time(
    project: Path, built: Run, damage: str
) -> None:
    for file in (project / ".mlbuild").rglob("*"):
        if file.is_file():
            file.write_bytes(DAMAGE[damage](file.read_bytes()))
    (project / "src.txt").write_text("second\n")
    assert built().code == 0
    assert there(project) == expected("second\n")


def test_a_state_folder_deleted_between_runs_costs_no_stage(project: Path, built: Run) -> None:
    shutil.rmtree(project / ".mlbuild")
    assert set(built().outcomes.values()) == {"reused"}
    assert "up to date" in dvc("status")


@pytest.mark.parametrize("damage", ["truncated", slow("empty"), slow("random")])
def test_damaged_run_cache_and_objects_are_found_out(
    project: Path, built: Run, damage: str
) -> None:
    for file in (project / ".dvc/cache").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(DAMAGE[damage](file.read_bytes()))
    shutil.rmtree(project / "out")
    shutil.rmtree(project / ".mlbuild")
    done = built()
    assert done.code == 0, done.out + done.err
    assert there(project) == expected("first\n")
    assert built().build["reused"] == 6
    assert "up to date" in dvc("status")


def test_a_truncated_object_is_not_restored_and_its_stage_runs_again(
    project: Path, built: Run, mlbuild: Run
) -> None:
    (file,) = [
        p
        for p in (project / ".dvc/cache/files/md5").rglob("*")
        if p.is_file() and p.read_text() == "first\nfirst\n"
    ]
    file.chmod(0o644)
    file.write_text("first\n")
    (project / "out/declared.txt").unlink()
    done = mlbuild("run", "pipelines/p.yaml")
    assert "declared.txt cannot be restored: object" in done.out
    assert "is corrupt and was removed" in done.out
    assert (project / "out/declared.txt").read_text() == "first\nfirst\n"


@pytest.mark.parametrize(
    "journal", [b"", slow(b'{"version": 1, "moves": [[1, 2]]}'), slow(b"\xff[")]
)
def test_a_damaged_journal_is_put_aside_with_all_that_lies_beside_it(
    project: Path, built: Run, journal: bytes
) -> None:
    work = project / "build/p/.work/declared"
    work.mkdir(parents=True)
    (work / "journal").write_bytes(journal)
    (project / "out/declared.txt").rename(work / ".old-o")
    (project / "src.txt").write_text("second\n")
    done = built()
    assert done.code == 0, done.out + done.err
    assert there(project) == expected("second\n")
    (kept,) = (project / ".mlbuild/kept").rglob(".old-o")
    assert kept.read_text() == "first\nfirst\n"
    assert not leftovers(project)


# --- a damaged ledger ----------------------------------------------------------------------------


def test_conflict_markers_in_dvc_lock_cost_at_most_a_restore(project: Path, built: Run) -> None:
    lock = project / "dvc.lock"
    head, mark, tail = lock.read_text().partition("  p-join:")
    lock.write_text(f"{head}<<<<<<< HEAD\n{mark}{tail}=======\n{mark}{tail}>>>>>>> theirs\n")
    done = built()
    assert done.code == 0, done.out + done.err
    assert set(done.outcomes.values()) <= {"reused", "restored"}
    assert there(project) == expected("first\n")
    assert "<<<<" not in lock.read_text()
    assert "up to date" in dvc("status")


@pytest.mark.parametrize("file", ["dvc.lock", "pipelines/p-lock.json", "dvc.yaml"])
@pytest.mark.parametrize("damage", ["random", slow("truncated"), slow("empty")])
def test_a_damaged_ledger_is_healed_or_named(
    project: Path, built: Run, file: str, damage: str
) -> None:
    path = project / file
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    (project / "src.txt").write_text("second\n")
    done = built()
    assert "Traceback" not in done.err
    if done.code:
        assert done.code == 4, done.out + done.err
        assert Path(file).name in done.err
        assert "git checkout" in done.err
        path.unlink()
        done = built()
    assert done.code == 0, done.out + done.err
    assert there(project) == expected("second\n")
    if (file, damage) != ("dvc.yaml", "truncated"):  # half a stage looks like one of the user's
        assert "up to date" in dvc("status")


def test_a_lock_file_of_a_newer_mlbuild_is_refused_by_name(project: Path, built: Run) -> None:
    pins = project / "pipelines/p-lock.json"
    pins.write_text(pins.read_text().replace('"version": 1', '"version": 99', 1))
    done = built()
    assert done.code == 4
    assert "was written by a newer mlbuild (format 99)" in done.err


def test_a_garbled_dvc_configuration_is_named(project: Path, built: Run) -> None:
    (project / ".dvc/config").write_text("[core]\n<<<<<<< HEAD\n")
    (project / "src.txt").write_text("second\n")
    done = built()
    assert done.code == 4, done.out + done.err
    assert ".dvc/config cannot be read: line 2 is neither [section] nor name = value" in done.err
    assert "Traceback" not in done.err
    (project / ".dvc/config").write_text("")
    assert built().code == 0
    assert there(project) == expected("second\n")


# --- strange inputs ------------------------------------------------------------------------------

LISTING = """\
stages:
  a: {run: "ls ${{ inputs.i }} > ${{ outputs.o }}", inputs: {i: ./in/}, outputs: {o: a.txt}}
"""


def dangling(folder: Path) -> str:
    (folder / "x").symlink_to("nowhere")
    return "in/x is a link to 'nowhere', which does not exist"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "x")
    return "in/x is neither a file nor a folder"


def bound(folder: Path) -> str:
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path may have 107 bytes only
        listening.bind("x")
        os.chdir(here)
    return "in/x is neither a file nor a folder"


def loop(folder: Path) -> str:
    (folder / "x").symlink_to("x")
    return "Too many levels of symbolic links"


@pytest.mark.parametrize("make", [dangling, pipe, slow(bound), slow(loop)])
def test_what_cannot_be_read_in_an_input_folder_is_named(
    project: Path, pipeline: Write, mlbuild: Run, make: Callable[[Path], str]
) -> None:
    (project / "in").mkdir()
    (project / "in/a").touch()
    pipeline(LISTING)
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    message = make(project / "in")
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 4
    assert message in done.err
    assert "Traceback" not in done.err
    (project / "in/x").unlink()
    assert mlbuild("run", "pipelines/p.yaml", "--json").outcomes == {"a": "reused"}


@pytest.mark.parametrize("what", [slow("link"), "pipe", slow("nothing"), "removed scratch"])
def test_what_cannot_be_an_output_is_a_failure_and_leaves_the_former_one(
    project: Path, pipeline: Write, mlbuild: Run, what: str
) -> None:
    command = {
        "link": "ln -s nowhere ${{ outputs.o }}",
        "pipe": "mkfifo ${{ outputs.o }}",
        "nothing": "true ${{ outputs.o }}",
        "removed scratch": 'rm -rf "$(dirname ${{ outputs.o }})"',
    }[what]
    text = "stages:\n  a:\n    outputs: {o: a.txt}\n    run: |\n      "
    pipeline(text + "echo fine > ${{ outputs.o }}")
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    pipeline(text + command)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code in (1, 4)
    assert "Traceback" not in done.out + done.err
    assert (project / "a.txt").read_text() == "fine\n"
    pipeline(text + "echo fine > ${{ outputs.o }}")
    assert mlbuild("run", "pipelines/p.yaml", "--json").outcomes == {"a": "reused"}
    assert not leftovers(project)


def test_an_output_that_is_a_link_is_published_as_what_it_points_to(
    project: Path, pipeline: Write, mlbuild: Run
) -> None:
    (project / "src.txt").write_text("data\n")
    pipeline(
        "stages:\n  a:\n    outputs: {o: out/a.txt}\n"
        '    run: ln -s "$PWD/src.txt" ${{ outputs.o }}\n'
    )
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    assert not (project / "out/a.txt").is_symlink()
    assert (project / "out/a.txt").read_text() == "data\n"


def test_a_link_put_at_an_output_by_hand_is_kept_and_its_target_untouched(
    project: Path, built: Run
) -> None:
    (project / "mine.txt").write_text("mine\n")
    (project / "out/declared.txt").unlink()
    (project / "out/declared.txt").symlink_to("../mine.txt")
    done = built()
    assert done.outcomes["declared"] == "restored"
    assert (project / "mine.txt").read_text() == "mine\n"
    assert not (project / "out/declared.txt").is_symlink()
    (kept,) = (project / ".mlbuild/kept").iterdir()
    assert kept.is_symlink()


def test_a_file_and_a_folder_may_take_each_other_s_place(
    project: Path, pipeline: Write, mlbuild: Run
) -> None:
    file = 'stages:\n  a: {run: "echo 1 > ${{ outputs.o }}", outputs: {o: out}}\n'
    folder = file.replace("echo 1 > ${{ outputs.o }}", "mkdir -p ${{ outputs.o }}/b")
    for text in (file, folder, file):
        pipeline(text)
        assert mlbuild("run", "pipelines/p.yaml").code == 0
        assert (project / "out").is_dir() == (text is folder)
        assert "up to date" in dvc("status")


def test_a_file_where_an_output_needs_a_folder_is_named(
    project: Path, pipeline: Write, mlbuild: Run
) -> None:
    (project / "out").write_text("mine\n")
    pipeline('stages:\n  a: {run: "echo 1 > ${{ outputs.o }}", outputs: {o: out/deep/a.txt}}\n')
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 4
    assert f"publishing failed: {project}/out is in the way of {project}/out/deep" in done.out
    assert "hint: move it away, or choose another path" in done.out
    assert (project / "out").read_text() == "mine\n"


STRANGE = ["it's", 'a "b"', "ünï 日本", "-rf", "new\nline", "a$b`c`", "*?[x]", " lead", "#x", "~"]


def test_any_name_may_be_an_input_or_an_output(
    project: Path, pipeline: Write, mlbuild: Run
) -> None:
    stages = ["stages:"]
    for number, name in enumerate(STRANGE):
        (project / name).write_text(f"{number}\n")
        first, second = (
            json.dumps(f"out/{name}"),
            json.dumps(f"{name}.2" if name != "~" else "tilde"),
        )
        stages += [
            f"  a{number}:",
            "    run: cat ${{ inputs.i }} > ${{ outputs.o }}",
            f"    inputs: {{i: {json.dumps('./' + name)}}}",
            f"    outputs: {{o: {first}}}",
            f"  b{number}:",
            "    run: cat ${{ inputs.i }} > ${{ outputs.o }}",
            f"    inputs: {{i: a{number}.o}}",
            f"    outputs: {{o: {second}}}",
            f"  c{number}:",
            "    run: cat ${{ inputs.i }} > ${{ outputs.o }}",
            f"    inputs: {{i: b{number}.o}}",
            f'    outputs: {{o: "c{number}"}}',
        ]
    pipeline("\n".join(stages))
    done = mlbuild("run", "pipelines/p.yaml", "-k")
    assert done.code == 0, done.out + done.err
    for number in range(len(STRANGE)):
        assert (project / f"c{number}").read_text() == f"{number}\n"
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert set(again.outcomes.values()) == {"reused"}
    shutil.rmtree(project / ".mlbuild")
    shutil.rmtree(project / "out")
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert set(again.outcomes.values()) <= {"reused", "restored"}


def test_a_pipeline_file_may_have_any_name(project: Path, mlbuild: Run) -> None:
    for name in ('it\'s "p".yaml', "ünï 日本.yaml", "two words.yml"):
        file = project / "pipelines" / name
        file.write_text(
            f'version: 1\nname: "n{len(name)}"\nstages:\n'
            f'  a: {{run: "echo 1 > ${{{{ outputs.o }}}}", outputs: {{o: "o{len(name)}"}}}}\n'
        )
        assert mlbuild("run", os.fspath(file)).code == 0
        assert mlbuild("run", os.fspath(file), "--json").outcomes == {"a": "reused"}
    assert "up to date" in dvc("status")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_project_that_may_not_be_written_is_told(
    project: Path, pipeline: Write, mlbuild: Run
) -> None:
    pipeline("stages:\n  a: {run: 'echo 1 > ${{ outputs.o }}', outputs: {o: a.txt}}\n")
    project.chmod(0o555)
    try:
        done = mlbuild("run", "pipelines/p.yaml")
    finally:
        project.chmod(0o755)
    assert done.code == 4
    assert "is not accessible" in done.err
    assert "hint: check the permissions" in done.err


# --- at once -------------------------------------------------------------------------------------


def test_pipelines_of_one_project_may_be_built_at_once(
    project: Path, pipeline: Write, start: Start
) -> None:
    (project / "src.txt").write_text("first\n")
    names = ["p", "q", "r"]
    for name in names:
        text = BUILD.replace("out/", f"out-{name}/")
        (project / f"pipelines/{name}.yaml").write_text(f"version: 1\nname: {name}\n{text}")
    running = [start("run", f"pipelines/{name}.yaml", "--json") for name in names]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    for name in names:
        found = {p.read_text() for p in (project / f"out-{name}").rglob("*.txt")}
        assert found == {t for p, t in expected("first\n").items() if p.endswith(".txt")}
    assert "up to date" in dvc("status")


# --- from Python ---------------------------------------------------------------------------------


def test_a_pipeline_runs_from_python_on_a_thread_too(
    project: Path, pipeline: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlbuild import Pipeline

    (project / "src.txt").write_text("first\n")
    file = pipeline(BUILD)
    first = Pipeline.load(file).run()
    assert first.ok
    assert first.exit_code == 0
    assert {str(s.outcome) for s in first.stages} == {"ran"}
    results = []
    thread = threading.Thread(target=lambda: results.append(Pipeline.load(file).run()))
    thread.start()
    thread.join()
    assert [str(s.outcome) for s in results[0].stages] == ["reused"] * 6


def test_an_interrupt_in_python_ends_the_stage_and_keeps_what_was_finished(
    project: Path, pipeline: Write, mlbuild: Run
) -> None:
    pipeline(
        "stages:\n"
        '  quick: {run: "echo 1 > ${{ outputs.o }}", outputs: {o: quick.txt}}\n'
        '  slow: {run: "touch begun; sleep 60; cp ${{ inputs.q }} ${{ outputs.o }}",'
        " inputs: {q: quick.o}, outputs: {o: slow.txt}}\n"
    )
    code = (
        "import mlbuild\n"
        "result = mlbuild.Pipeline.load('pipelines/p.yaml').run()\n"
        "print(result.exit_code, *(s.outcome for s in result.stages))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[1])},
    )
    deadline = time.monotonic() + 60
    while not (project / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out == "130 ran cancelled\n"
    assert mlbuild("status", "pipelines/p.yaml", "--json").events[0]["decision"] == "reuse"
