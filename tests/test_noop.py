import marshal
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbuild.__main__ import unchanged
from mlbuild.store import grouping, noop
from mlbuild.store.digests import Digests, sig_of

ROOT = Path(__file__).parents[1]
ARGV = ["run", "pipelines/p.yaml", "-j", "2"]


def call(cwd: Path, argv=ARGV, env=None, flags=()) -> subprocess.CompletedProcess:
    """Calls mlbuild as its users do; 'fell through' where the engine would have had to work."""
    code = (
        "import sys, types\n"
        "fake = types.ModuleType('mlbuild.cli.main')\n"
        "fake.main = lambda: print('fell through') or 7\n"
        "sys.modules['mlbuild.cli'] = types.ModuleType('mlbuild.cli')\n"
        "sys.modules['mlbuild.cli.main'] = fake\n"
        "again = types.ModuleType('mlbuild.cli.again')\n"
        "again.run = lambda argv: None\n"
        "sys.modules['mlbuild.cli.again'] = again\n"
        f"sys.argv = ['mlbuild', *{argv!r}]\n"
        "from mlbuild.__main__ import main\n"
        "sys.exit(main())\n"
    )
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MLBUILD_") and k != "CI"}
    return subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**plain, "PYTHONPATH": str(ROOT), **(env or {})},
    )


def known(done: subprocess.CompletedProcess) -> bool:
    """Whether the record was enough."""
    if done.stdout == "nothing to do\n" and done.returncode == 0:
        return True
    assert (done.stdout, done.returncode) == ("fell through\n", 7), done.stderr
    return False


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    for name in [n for n in os.environ if n.startswith("MLBUILD_") or n == "CI"]:
        monkeypatch.delenv(name)
    root = tmp_path / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / "data/sub").mkdir(parents=True)
    for name in ("pipelines/p.yaml", "data/a", "data/sub/b"):
        (root / name).write_text(name)
    return root


def record(root: Path, argv=ARGV, where: str = ".", **more) -> bool:
    digests = Digests(root / ".mlbuild", root)
    digests.watch(root / "pipelines/p.yaml")
    digests.watch(root / "dvc.lock")
    digests.of(root / "data")
    assert digests.settle()
    return noop.write(root, argv, root / where, digests.seen, "nothing to do\n", **more)


def test_what_did_not_change_is_told_at_once(project):
    assert record(project)
    assert known(call(project))


def test_without_a_record_the_engine_is_asked(project):
    assert not known(call(project))


CHANGES = {
    "a file's text": lambda r: (r / "data/a").write_text("DATA/A"),
    "a touch": lambda r: os.utime(r / "data/a"),
    "a file's mode": lambda r: (r / "data/a").chmod(0o755),
    "a new file": lambda r: (r / "data/sub/new").write_text(""),
    "a file gone": lambda r: (r / "data/sub/b").unlink(),
    "a folder gone": lambda r: (r / "data/sub").rename(r / "elsewhere"),
    "a file replaced": lambda r: ((r / "x").write_text("data/a"), (r / "x").rename(r / "data/a")),
    "the pipeline file": lambda r: (r / "pipelines/p.yaml").write_text("version: 2"),
    "something that was not there": lambda r: (r / "dvc.lock").write_text(""),
}


@pytest.mark.parametrize("crowd", [0, 60])
@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_noticed(project, what, crowd):
    fill(project, crowd)
    record(project)
    CHANGES[what](project)
    assert not known(call(project))


def fill(root: Path, crowd: int) -> None:
    """So many more files that their folders are compared as groups."""
    for number in range(crowd):
        (root / f"data/more {number}").write_text("x")
        (root / f"data/sub/more {number}").write_text("x")


def test_a_folder_of_many_files_that_did_not_change_is_told_at_once(project):
    fill(project, 60)
    assert record(project)
    assert known(call(project))
    moved = project.rename(project.with_name("moved"))
    assert known(call(moved))


def test_a_folder_replaced_by_a_copy_of_the_same_dates_is_noticed(project):
    fill(project, 60)
    record(project)
    shutil.copytree(project / "data/sub", project / "copy")  # keeps sizes and mtimes
    times = (project / "data/sub").stat()
    (project / "data/sub").rename(project / "old")
    (project / "copy").rename(project / "data/sub")
    os.utime(project / "data/sub", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not known(call(project))


def test_the_caller_stays_where_it_was(project, monkeypatch):
    fill(project, 60)
    record(project)
    monkeypatch.chdir(project / "pipelines")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert unchanged(ARGV) is None  # asked from another folder
    monkeypatch.chdir(project)
    assert unchanged(ARGV) == "nothing to do\n"
    shutil.rmtree(project / "data")
    assert unchanged(ARGV) is None
    assert Path.cwd() == project
    after = len(os.listdir("/proc/self/fd")) if before else 0
    assert after == before


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(lambda p: "/r/" + "/".join(p)),
        st.none()
        | st.tuples(
            st.integers(0, 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 2**64 - 1),
        ),
    ),
    st.integers(1, 3),
)
def test_groups_hold_every_path_with_its_stat_data(seen, worth):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_WORTH", worth)
        groups = marshal.loads(marshal.dumps(grouping.grouped(seen, "/r")))
    found = {}
    for folder, names, fields in groups:
        values = iter(memoryview(fields).cast("q") if isinstance(fields, bytes) else fields)
        for name in names.split("\0") if names else ():
            sig = (next(values), next(values), next(values), next(values))
            path = f"/r/{folder}/{name}" if folder else f"/r/{name}"
            found[path] = None if sig == (-1, -1, -1, -1) else sig
        assert not list(values)
    assert found == seen


def test_a_change_that_keeps_size_and_mtime_is_noticed(project):
    path = project / "data/a"
    times = path.stat()
    record(project)
    path.write_text("DATA/a")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not known(call(project))


@pytest.mark.parametrize(
    "argv", [["run"], ["run", "pipelines/p.yaml"], [*ARGV, "-q"], ["status", *ARGV[1:]], []]
)
def test_other_arguments_are_another_question(project, argv):
    record(project)
    assert not known(call(project, argv))


@pytest.mark.parametrize("env", [{"MLBUILD_CACHE_DIR": "x"}, {"CI": "true"}, {"MLBUILD_X": ""}])
def test_another_environment_is_another_question(project, env):
    record(project)
    assert not known(call(project, env=env))
    assert known(call(project, env={"OTHER": "1"}))


@pytest.mark.parametrize("name", ["MLBUILD_SIGNING_KEY", "MLBUILD_TOKEN"])
def test_the_value_of_a_secret_is_in_no_record(project, monkeypatch, name):
    monkeypatch.setenv(name, "value of a secret")
    record(project)
    (written,) = (project / ".mlbuild/noop").iterdir()
    assert b"value of a secret" not in written.read_bytes()
    assert known(call(project, env={name: "another"}))


def test_no_value_of_a_variable_stands_in_the_record(project, monkeypatch):
    monkeypatch.setenv("MLBUILD_X", "who knows what")
    record(project)
    (written,) = (project / ".mlbuild/noop").iterdir()
    assert b"who knows" not in written.read_bytes()


def test_another_version_of_mlbuild_is_another_question(project, monkeypatch):
    monkeypatch.setattr(noop, "__version__", "0.0.1")
    record(project)
    assert not known(call(project))


def test_a_record_for_a_terminal_is_not_for_a_pipe(project):
    record(project, tty=True)
    assert not known(call(project))


def test_the_callers_folder_counts(project):
    (project / "pipelines/deep").mkdir()
    record(project, ["run", "../p.yaml"], "pipelines/deep")
    assert known(call(project / "pipelines/deep", ["run", "../p.yaml"]))
    assert not known(call(project / "pipelines", ["run", "../p.yaml"]))
    assert not known(call(project, ["run", "../p.yaml"]))


def test_a_moved_checkout_is_still_known(project):
    record(project)
    moved = project.rename(project.with_name("moved"))
    assert known(call(moved))


def test_a_record_of_a_project_around_is_not_taken_for_ours(project):
    record(project)
    inner = project / "inner"
    inner.mkdir()
    assert not known(call(inner))


@pytest.mark.parametrize("damage", [b"", b"0", b"garbage" * 9, b"\0" * 200])
def test_a_damaged_record_is_no_record(project, damage):
    record(project)
    for file in (project / ".mlbuild/noop").iterdir():
        file.write_bytes(damage)
    assert not known(call(project))


def test_a_flipped_bit_is_noticed(project):
    record(project)
    (file,) = (project / ".mlbuild/noop").iterdir()
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert not known(call(project))


def test_another_format_is_no_record(project, monkeypatch):
    monkeypatch.setattr("mlbuild.__main__._FORMAT", 99)
    record(project)
    monkeypatch.undo()
    assert not known(call(project))


def test_a_forgotten_success_is_never_told(project):
    record(project)
    record(project, ["run", "other.yaml"])
    noop.forget(project)
    assert not known(call(project))


def test_forgetting_nothing_is_fine(project):
    noop.forget(project)


def test_a_change_while_the_build_ran_leaves_no_record(project):
    digests = Digests(project / ".mlbuild", project)
    digests.of(project / "data")
    digests.settle()
    (project / "data/a").write_text("changed by somebody while the stages ran")
    assert not noop.write(project, ARGV, project, digests.seen, "nothing to do\n")
    assert not known(call(project))


def test_a_record_is_written_only_when_the_clock_has_moved_on(project):
    (project / "data/a").write_text("just now")
    sig = sig_of((project / "data/a").stat())
    assert noop.write(project, ARGV, project, {str(project / "data/a"): sig}, "nothing to do\n")
    assert time.time_ns() > sig[1]
    (project / "data/a").write_text("at once")
    assert sig_of((project / "data/a").stat()) != sig
    assert not known(call(project))


def test_a_caller_outside_the_project_gets_no_record(project, tmp_path):
    assert not noop.write(project, ARGV, tmp_path, {}, "nothing to do\n")


def test_records_do_not_heap_up(project):
    for i in range(120):
        noop.write(project, ["run", str(i)], project, {}, "nothing to do\n")
    assert len(list((project / ".mlbuild/noop").iterdir())) <= 50
    assert known(call(project, ["run", "119"]))


def test_names_with_odd_characters_are_compared_too(project):
    for name in ("new\nline", "ünï", os.fsdecode(b"\xff\xfe")):
        (project / "data" / name).write_text("x")
    record(project)
    assert known(call(project))
    (project / "data/new\nline").write_text("y")
    assert not known(call(project))


def test_the_answer_costs_next_to_no_imports(project):
    record(project)
    bare = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "pass"], capture_output=True, text=True
    )
    done = call(project, flags=("-X", "importtime"))
    assert done.stdout == "nothing to do\n"

    def modules(err: str) -> set[str]:
        return {line.rpartition("|")[2].strip() for line in err.splitlines() if "|" in line}

    extra = modules(done.stderr) - modules(bare.stderr) - {"imported package"}
    ours = {"mlbuild", "mlbuild.__main__", "binascii", "types"}  # `types` is this test's own
    assert extra <= ours, extra - ours


def test_the_record_is_compact(project):
    for i in range(200):
        (project / f"data/{i:04}").write_text("")
    record(project)
    (file,) = (project / ".mlbuild/noop").iterdir()
    assert len(file.read_bytes()) < 206 * 90
    assert marshal.loads(file.read_bytes()[8:])[1]
