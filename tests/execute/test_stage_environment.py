"""What a stage's process sees of its caller."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from mlbuild.errors import StageError
from mlbuild.execute.environment import stage_environment
from mlbuild.records import Resources, Stage

CALLER = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/home/me",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TMPDIR": "/scratch",
    "https_proxy": "http://proxy",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "CUDA_VISIBLE_DEVICES": "0",
    "PYTHONPATH": "/my/code",
    "AWS_SECRET_ACCESS_KEY": "key",
    "TERM": "xterm",
    "VIRTUAL_ENV": "/venv",
    "TOKEN": "t",
    "EMPTY": "",
}


def test_a_command_sees_these_and_nothing_else() -> None:
    stage = Stage("a", "a", resources=Resources(cpu=2), env={"MODE": "fast"}, secrets=("TOKEN",))
    told = stage_environment(stage, CALLER, Path("/tools/bin/python"), worker=False)
    assert told.variables == {
        "PATH": "/tools/bin:/usr/bin:/bin",
        "HOME": "/home/me",
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": "/scratch",
        "https_proxy": "http://proxy",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "CUDA_VISIBLE_DEVICES": "0",
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "VECLIB_MAXIMUM_THREADS": "2",
        "NUMEXPR_NUM_THREADS": "2",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SHELL": shutil.which("bash"),
        "MODE": "fast",
        "TOKEN": "t",
    }
    assert told.masked == ("t",)


def test_a_worker_reads_utf_8() -> None:
    told = stage_environment(Stage("a", "a"), CALLER, Path("/tools/bin/python"), worker=True)
    assert told.variables["PYTHONUTF8"] == "1"


def test_without_a_toolchain_python_is_the_engines() -> None:
    told = stage_environment(Stage("a", "a"), CALLER, None, worker=False)
    assert told.variables["PATH"] == f"{Path(sys.executable).parent}:/usr/bin:/bin"


def test_a_caller_without_a_path_gets_the_systems() -> None:
    told = stage_environment(Stage("a", "a"), {}, Path("/tools/bin/python"), worker=False)
    assert told.variables["PATH"] == os.pathsep.join(["/tools/bin", *os.defpath.split(os.pathsep)])


def test_a_stages_own_variables_win() -> None:
    stage = Stage("a", "a", env={"OMP_NUM_THREADS": "7", "LANG": "C"})
    told = stage_environment(stage, CALLER, None, worker=False)
    assert (told.variables["OMP_NUM_THREADS"], told.variables["LANG"]) == ("7", "C")


def test_an_empty_secret_masks_nothing() -> None:
    told = stage_environment(Stage("a", "a", secrets=("EMPTY",)), CALLER, None, worker=False)
    assert told.masked == ()


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        (
            ("GONE", "TOKEN"),
            "stage 'push': no value for secret GONE\n"
            "  hint: set GONE in the environment of mlbuild",
        ),
        (
            ("GONE", "LOST"),
            "stage 'push': no value for secrets GONE, LOST\n"
            "  hint: set GONE, LOST in the environment of mlbuild",
        ),
    ],
)
def test_a_missing_secret_is_an_error(secrets: tuple[str, ...], message: str) -> None:
    with pytest.raises(StageError) as caught:
        stage_environment(Stage("push", "push", secrets=secrets), CALLER, None, worker=False)
    assert caught.value.render() == message
