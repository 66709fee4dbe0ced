"""What Python processes note of their reads: real interpreters, no engine."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlbuild.execute import reads
from mlbuild.execute.inside.startup.mlbuild_reads import VARIABLE

VERSIONS = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


def interpreter(minor: str) -> Path | None:
    found = sorted(VERSIONS.glob(f"{minor}.*/bin/python"))
    return found[0] if found else None


@pytest.fixture(params=["this", "3.8", "3.9", "3.10", "3.12", "3.13"])
def python(request: pytest.FixtureRequest) -> Path:
    found = Path(sys.executable) if request.param == "this" else interpreter(request.param)
    if found is None:
        pytest.skip(f"there is no Python {request.param} here")
    return found


class Desk:
    """A project, and a way to run commands in it as a stage does."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / 'a project\'s "ü"'
        self.notes = self.root / "build/p/.work/s/.reads"
        self.notes.parent.mkdir(parents=True)
        self.declared: list[Path] = []
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}

    def write(self, name: str, text: str = "1") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def environment(self) -> dict[str, str]:
        return reads.watched(self.env, self.root, self.notes, self.declared)

    def run(self, *argv: object, code: int = 0) -> str:
        done = subprocess.run(
            [str(a) for a in argv],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stderr if code == 0 else "") == (code, ""), done.stderr
        return done.stdout

    def noted(self) -> set[str]:
        """What was noted, relative to the root; a listed folder ends in '/'."""
        found = reads.noted(self.notes)
        return {
            os.path.relpath(a.path, os.path.realpath(self.root)) + "/" * a.listed for a in found
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_script_its_modules_and_its_data_are_noted(desk: Desk, python: Path) -> None:
    desk.write("tools/notes.py", "import near, pkg.deep\nopen('data/x.csv')\n")
    desk.write("tools/near.py")
    desk.write("tools/pkg/__init__.py")
    desk.write("tools/pkg/deep.py")
    desk.write("data/x.csv")
    desk.run(python, "-W", "ignore", "tools/notes.py")
    expected = {"notes.py", "near.py", "pkg/__init__.py", "pkg/deep.py"}
    assert desk.noted() == {f"tools/{name}" for name in expected} | {"data/x.csv"}


def test_a_module_from_its_compiled_file_is_noted_by_its_source(desk: Desk, python: Path) -> None:
    desk.write("pkg/__init__.py")
    desk.write("pkg/__main__.py", "from . import part\n")
    desk.write("pkg/part.py")
    desk.run(python, "-m", "pkg")
    desk.notes.unlink()
    assert list((desk.root / "pkg/__pycache__").glob("part.*.pyc"))
    desk.run(python, "-m", "pkg")
    assert desk.noted() == {"pkg/__init__.py", "pkg/__main__.py", "pkg/part.py"}


def test_a_compiled_file_elsewhere_or_without_source_is_noted_too(desk: Desk, python: Path) -> None:
    desk.write("part.py")
    desk.env["PYTHONPYCACHEPREFIX"] = str(desk.root.parent / "cache")
    for _ in range(2):
        desk.run(python, "-c", "import part")
    assert desk.noted() == {"part.py"}
    del desk.env["PYTHONPYCACHEPREFIX"]
    desk.run(python, "-c", "import py_compile; py_compile.compile('part.py', cfile='bare.pyc')")
    os.unlink(desk.root / "part.py")
    desk.run(python, "-c", "import bare")
    assert desk.noted() == {"part.py", "bare.pyc"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open(b'd/a.csv')", {"d/a.csv"}),
        ("import os; os.open('d/a.csv', os.O_RDONLY)", {"d/a.csv"}),
        ("import pathlib; pathlib.Path('d', 'a.csv').read_bytes()", {"d/a.csv"}),
        ("import os; os.chdir('d'); open('../d//./a.csv')", {"d/a.csv"}),
        ("open('d/a.csv', 'r+')", {"d/a.csv"}),
        ("open('d/a.csv', 'a+')", {"d/a.csv"}),
        ("import sqlite3; sqlite3.connect('d/a.csv').close()", {"d/a.csv"}),
        ("import sqlite3; sqlite3.connect('file:d/a.csv?mode=ro', uri=True).close()", {"d/a.csv"}),
        ("import mmap; f = open('d/a.csv'); mmap.mmap(f.fileno(), 0, prot=1)", {"d/a.csv"}),
        ("import runpy; runpy.run_path('d/run.py')", {"d/run.py"}),
        ("exec(open('d/run.py').read())", {"d/run.py"}),
        ("import os; os.listdir('d')", {"d/"}),
        ("import os; list(os.scandir(b'd'))", {"d/"}),
        ("import glob; glob.glob('d/*.csv')", {"d/"}),
        ("import pathlib; list(pathlib.Path('d').iterdir())", {"d/"}),
        ("import os; os.chdir('d'); os.listdir('.')", {"d/"}),
        ("import subprocess; subprocess.run(['d/tool'])", {"d/tool"}),
        ("import subprocess; subprocess.run(['./tool'], cwd='d')", {"d/tool"}),
        ("import os; os.execv('d/tool', ['tool'])", {"d/tool"}),
        ("import os; os.waitpid(os.posix_spawn('d/tool', ['t'], {}), 0)", {"d/tool"}),
        ("import ctypes\ntry: ctypes.CDLL('d/a.csv')\nexcept OSError: pass", {"d/a.csv"}),
        ("import os, sys\nif os.fork() == 0: open('d/a.csv')\nelse: os.wait()", {"d/a.csv"}),
        # These are no reads.
        ("open('d/a.csv', 'w')", set()),
        ("open('d/a.csv', 'a')", set()),
        ("open('d/a.csv', 'w+').read()", set()),
        ("open('d/new', 'x')", set()),
        ("import os; os.stat('d/a.csv'); os.path.exists('d')", set()),
        ("try: open('d/none')\nexcept OSError: pass", set()),
        ("import os; os.listdir('.'); os.listdir('/')", set()),
        ("import sqlite3; sqlite3.connect(':memory:').close()", set()),
        ("import pkgutil; list(pkgutil.iter_modules(['d']))", set()),
        ("import importlib.metadata as m, sys; sys.path.append('d'); m.version('pip')", set()),
        ("import shutil; shutil.rmtree('d')", set()),
        ("open('/etc/hostname'); import os; open(os.devnull)", set()),
        ("open('.git/config'); open('.mlbuild/x'); open('build/p/.work/s/out')", set()),
        ("open(0)", set()),
        ("import os; os.chdir('d'); os.listdir(os.open('/', os.O_RDONLY))", set()),
    ],
)
def test_each_way_of_reading_is_noted_and_nothing_else(
    desk: Desk, code: str, expected: set[str]
) -> None:
    for name in ("d/a.csv", ".git/config", ".mlbuild/x", "build/p/.work/s/out"):
        desk.write(name, "")
    desk.write("d/a.csv", "")
    if "mmap" in code:
        desk.write("d/a.csv")
    desk.write("d/run.py", "1")
    desk.write("d/tool", "#!/bin/sh\n").chmod(0o755)
    desk.run(sys.executable, "-W", "ignore", "-c", code)
    assert desk.noted() == expected


def test_the_time_of_the_last_change_before_the_read_is_noted(desk: Desk) -> None:
    path = desk.write("a.csv")
    then = path.stat().st_ctime_ns
    desk.run(sys.executable, "-c", "open('a.csv').read(); open('a.csv', 'a').write('2')")
    assert list(reads.noted(desk.notes)) == [reads.Access(str(path), False, then)]


def test_declared_files_and_folders_are_not_even_noted(desk: Desk, python: Path) -> None:
    desk.declared = [desk.write("a.csv"), desk.write("data/deep/b.csv").parents[1], Path("/etc")]
    desk.write("data.csv")
    desk.run(python, "-c", "for n in ('a.csv', 'data/deep/b.csv', 'data.csv'): open(n).close()")
    assert desk.noted() == {"data.csv"}


def test_more_declared_paths_than_a_variable_holds_are_still_a_valid_one(desk: Desk) -> None:
    desk.write("a.csv")
    desk.declared = [desk.root / ("x" * 100) / str(n) for n in range(10_000)]
    assert len(desk.environment()[VARIABLE]) < 20_000
    desk.run(sys.executable, "-c", "open('a.csv').close()")
    assert desk.noted() == {"a.csv"}


def test_a_project_behind_a_link_is_watched(desk: Desk, tmp_path: Path) -> None:
    desk.write("a.csv")
    desk.write("b.csv")
    link = tmp_path / "link"
    link.symlink_to(desk.root)
    env = reads.watched(desk.env, link, desk.notes, [])
    code = f"open('a.csv').close(); open({str(link / 'b.csv')!r}).close()"
    subprocess.run([sys.executable, "-c", code], cwd=link, env=env, check=True)
    assert {Path(a.path).name for a in reads.noted(desk.notes)} == {"a.csv", "b.csv"}


def test_processes_of_processes_are_watched(desk: Desk, python: Path) -> None:
    desk.write("a.csv")
    desk.write("b.csv")
    desk.write("c.csv")
    code = (
        "import subprocess, sys, os; open('a.csv').close(); "
        "subprocess.run(['sh', '-c', sys.executable + ' -c \"open(\\'b.csv\\').close()\"']); "
        "os.environ.pop('HOME'); os.system(sys.executable + ' -c \"open(\\'c.csv\\').close()\"')"
    )
    desk.run(python, "-c", code)
    assert desk.noted() == {"a.csv", "b.csv", "c.csv"}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_workers_of_multiprocessing_are_watched(desk: Desk, python: Path, method: str) -> None:
    for n in range(4):
        desk.write(f"{n}.csv")
    desk.write(
        "many.py",
        "import multiprocessing as m\ndef read(n): open('%d.csv' % n).close()\n"
        f"if __name__ == '__main__':\n    m.set_start_method('{method}')\n"
        "    with m.Pool(2) as pool: pool.map(read, range(4))\n",
    )
    desk.run(python, "many.py")
    assert desk.noted() == {"many.py", "0.csv", "1.csv", "2.csv", "3.csv"}


def test_many_processes_at_once_lose_nothing(desk: Desk) -> None:
    for n in range(400):
        desk.write(f"d/{n}")
    code = "import sys\nfor n in range(int(sys.argv[1]), 400, 8): open('d/%d' % n).close()"
    env = desk.environment()
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=desk.root, env=env)
        for n in range(8)
    ]
    assert [p.wait() for p in started] == [0] * 8
    assert desk.noted() == {f"d/{n}" for n in range(400)}


def test_a_killed_process_has_noted_what_it_read(desk: Desk) -> None:
    desk.write("a.csv")
    code = "open('a.csv').close(); print('read', flush=True); import time; time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=desk.root, env=desk.environment(), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    assert desk.noted() == {"a.csv"}


def test_a_row_that_was_cut_short_is_left_out(desk: Desk) -> None:
    desk.notes.write_bytes(b"r12:/a\0r1x:/b\0l13:/c\nd\0r14:/e")
    assert list(reads.noted(desk.notes)) == [
        reads.Access("/a", False, 12),
        reads.Access("/c\nd", True, 13),
    ]
    assert list(reads.noted(desk.notes.with_name("none"))) == []


class TestNothingElseChanges:
    """A watched program behaves as it would alone."""

    SEEN = (
        "import sys, os; e = dict(os.environ); "
        "e.pop('WATCHED_BY_MLBUILD', 0); e.pop('PYTHONPATH', 0); e.pop('_', 0); "
        "print(sys.path, sys.argv, sorted(sys.modules), sorted(e.items()), "
        "sorted(sys.path_importer_cache), os.listdir('/proc/self/fd'))"
    )

    def test_a_program_sees_the_path_and_modules_that_it_would_see(
        self, desk: Desk, python: Path
    ) -> None:
        desk.write("see.py", self.SEEN)
        for argv in (["-c", self.SEEN, "x"], ["see.py", "y"], ["-m", "see"]):
            alone = subprocess.run(
                [str(python), *argv], cwd=desk.root, env=desk.env, capture_output=True, text=True
            ).stdout
            watched = desk.run(python, *argv)
            watched = watched.replace("'mlbuild_reads', ", "").replace("'sitecustomize', ", "")
            assert watched == alone.replace("'sitecustomize', ", "")

    def test_a_path_of_the_stage_s_own_stands_where_it_stood(
        self, desk: Desk, python: Path
    ) -> None:
        desk.write("src/own.py")
        desk.env["PYTHONPATH"] = "src:lib"
        out = desk.run(python, "-c", "import own, sys; print(sys.path[1:3])")
        assert out == f"{[str(desk.root / 'src'), str(desk.root / 'lib')]}\n"
        assert desk.noted() == {"src/own.py"}

    def test_a_sitecustomize_of_the_user_still_runs(self, desk: Desk, python: Path) -> None:
        desk.write("src/sitecustomize.py", "import sys\nsys.USERS = __file__\n")
        desk.env["PYTHONPATH"] = "src"
        code = "import sys, sitecustomize as s; print(sys.USERS == s.__file__, 'src' in sys.USERS)"
        assert desk.run(python, "-c", code) == "True True\n"
        assert desk.noted() == {"src/sitecustomize.py"}

    @pytest.mark.parametrize("wrong", ["raise ValueError('lost')", "import nowhere", "1 +"])
    def test_a_broken_sitecustomize_of_the_user_fails_as_it_would(
        self, desk: Desk, python: Path, wrong: str
    ) -> None:
        desk.write("src/sitecustomize.py", wrong)
        desk.env["PYTHONPATH"] = "src"
        told = []
        for env in (desk.env, desk.environment()):
            argv = [str(python), "-c", "print(1)"]
            done = subprocess.run(argv, cwd=desk.root, env=env, capture_output=True, text=True)
            told.append((done.returncode, done.stdout, done.stderr))
        assert told[0] == told[1]
        assert "rror" in told[0][2]

    def test_exit_codes_signals_and_output_are_the_program_s(
        self, desk: Desk, python: Path
    ) -> None:
        assert desk.run(python, "-c", "print('ü'); import sys; sys.exit(7)", code=7) == "ü\n"
        killed = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
        desk.run(python, "-c", killed, code=-signal.SIGTERM)

    def test_a_program_that_closes_every_descriptor_writes_where_it_means_to(
        self, desk: Desk, python: Path
    ) -> None:
        desk.write("a.csv")
        code = (
            "import os; os.closerange(0, 100); f = os.open('mine', os.O_CREAT | os.O_WRONLY); "
            "open('a.csv').close(); os.write(f, b'mine')"
        )
        desk.run(python, "-c", code)
        assert (desk.root / "mine").read_text() == "mine"
        assert desk.noted() == {"a.csv"}

    @pytest.mark.parametrize(
        "code",
        [
            "import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
            "try: open('x')\nexcept FileNotFoundError: pass",
            "try: open('\\0')\nexcept ValueError: pass",
            "import sys; sys.audit('open'); sys.audit('open', 1, 2, 3); sys.audit('import', 1)",
            "import sys; sys.audit('os.listdir', 10**9); sys.audit('subprocess.Popen', None)",
            "import sys\ndef f(n):\n  try: f(n + 1)\n  except RecursionError: open('a.csv')\nf(0)",
            "import os; os.unlink(os.environ['WATCHED_BY_MLBUILD'].split(':')[0] + 'x')"
            " if 0 else open('a.csv')",
            "import shutil; shutil.rmtree('build'); open('a.csv').read()",
            "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); open('a.csv')",
        ],
    )
    def test_odd_programs_do_not_fail_by_being_watched(self, desk: Desk, code: str) -> None:
        desk.write("a.csv")
        alone = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], cwd=desk.root, env=desk.env, check=False
        ).returncode
        desk.write("build/p/.work/s/x")
        desk.run(sys.executable, "-W", "ignore", "-c", code, code=alone)

    @pytest.mark.parametrize("minor", ["2.7", "3.6", "3.7"])
    def test_a_python_without_audit_hooks_runs_as_ever(self, desk: Desk, minor: str) -> None:
        python = interpreter(minor)
        if python is None:
            pytest.skip(f"there is no Python {minor} here")
        desk.write("src/sitecustomize.py", "import sys\nsys.USERS = 1\n")
        desk.env |= {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
        code = "import sys; print(sys.USERS, len([p for p in sys.path if 'startup' in p]))"
        assert desk.run(python, "-c", code).strip("()\n") in ("1 0", "1, 0")
        assert desk.noted() == set()

    @pytest.mark.parametrize("option", ["-I", "-E", "-S"])
    def test_a_python_that_is_told_to_is_not_watched(self, desk: Desk, option: str) -> None:
        desk.write("a.csv")
        desk.run(sys.executable, option, "-c", "open('a.csv').close()")
        assert desk.noted() == set()

    def test_a_folder_that_cannot_stand_on_the_path_is_left_alone(self, tmp_path: Path) -> None:
        env = {"PYTHONPATH": "src"}
        assert reads.watched(env, tmp_path / "a:b", tmp_path / "n", []) == env

    def test_what_was_added_can_be_taken_away(self, desk: Desk) -> None:
        assert reads.unwatched(desk.environment()) == desk.env
        desk.env["PYTHONPATH"] = "src:lib"
        assert reads.unwatched(desk.environment()) == desk.env
        assert reads.unwatched(desk.env) == desk.env


def test_an_environment_inside_the_project_is_no_input(desk: Desk) -> None:
    venv = desk.root / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    package = next(venv.glob("lib/python3*/site-packages"))
    (package / "installed.py").write_text("A = 1\n")
    desk.write("mine.py")
    desk.run(venv / "bin/python", "-c", "import installed, mine")
    assert desk.noted() == {"mine.py"}


def test_a_console_script_is_watched(desk: Desk) -> None:
    desk.write("tool", f"#!{sys.executable}\nopen('a.csv').close()\n").chmod(0o755)
    if len(sys.executable) > 100:
        pytest.skip("the path of this Python is too long for a first line")
    desk.write("a.csv")
    desk.run("./tool")
    assert desk.noted() == {"tool", "a.csv"}


def test_a_program_that_is_not_python_runs_as_ever(desk: Desk) -> None:
    desk.write("a.csv", "text")
    assert desk.run(shutil.which("cat"), "a.csv") == "text"
    assert desk.noted() == set()
