import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlbuild.store.lock import dvc_lock, holder, pipeline_lock

HOLD = """
import sys
from pathlib import Path
from mlbuild.store.lock import {lock} as lock
with lock(Path({path!r})):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(lock: str, path: Path) -> subprocess.Popen:
    code = HOLD.format(lock=lock, path=str(path))
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert process.stdout.readline() == "held\n"
    return process


def release(process: subprocess.Popen) -> None:
    process.communicate("\n")
    assert process.returncode == 0


def test_a_second_build_is_told_who_holds_the_pipeline_and_waits(tmp_path):
    file = tmp_path / "locks" / "p.lock"
    process = hold("pipeline_lock", file)
    told: list[str] = []

    def on_wait(text: str) -> None:
        told.append(text)
        release(process)

    with pipeline_lock(file, on_wait):
        assert re.fullmatch(rf"held by pid {process.pid} since \d\d:\d\d:\d\d \(-c\)", told[0]), (
            told
        )
        assert f"held by pid {os.getpid()} since " in holder(file)
    assert len(told) == 1


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path):
    process = hold("pipeline_lock", tmp_path / "p.lock")
    process.kill()
    process.communicate()
    with pipeline_lock(tmp_path / "p.lock", lambda text: pytest.fail("nobody holds it")):
        pass


def test_an_error_inside_frees_the_lock(tmp_path):
    with pytest.raises(KeyError), pipeline_lock(tmp_path / "p.lock"):
        raise KeyError
    with pipeline_lock(tmp_path / "p.lock", lambda text: pytest.fail("nobody holds it")):
        pass


def test_a_lock_file_that_is_deleted_while_waited_for_still_excludes(tmp_path):
    file = tmp_path / "p.lock"
    process = hold("pipeline_lock", file)

    def on_wait(text: str) -> None:
        file.unlink()
        release(process)

    with pipeline_lock(file, on_wait), file.open() as again, pytest.raises(BlockingIOError):
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b"{}"])
def test_a_holder_that_left_no_name_is_another_process(tmp_path, content):
    (tmp_path / "p.lock").write_bytes(content)
    assert holder(tmp_path / "p.lock") == "held by another process"


def test_dvc_waits_for_us(tmp_path):
    import zc.lockfile

    with dvc_lock(tmp_path), pytest.raises(zc.lockfile.LockError):
        zc.lockfile.LockFile(str(tmp_path / ".dvc/tmp/lock"))
    zc.lockfile.LockFile(str(tmp_path / ".dvc/tmp/lock")).close()


def test_we_wait_for_dvc(tmp_path):
    import zc.lockfile

    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    file = tmp_path / ".dvc/tmp/lock"
    theirs = zc.lockfile.LockFile(str(file))
    told: list[str] = []

    def on_wait(text: str) -> None:
        told.append(text)
        theirs.close()

    with dvc_lock(tmp_path, on_wait):
        pass
    assert told == [f"waiting for DVC's lock {file}, held by pid {os.getpid()}"]
