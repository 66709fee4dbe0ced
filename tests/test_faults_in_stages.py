"""Damaged data, models and processes where the stages are those of the torch toolchain."""

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]

Run = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]
Write = Callable[[str], Path]
CACHE = os.environ.get("MLBUILD_CACHE_DIR")

TRAIN = """\
params: {unreadable: skip}
stages:
  train:
    uses: train/image-classifier
    inputs: {images: ./photos}
    with: {backbone: small-cnn, image_size: 16, epochs: 1, unreadable: "${{ params.unreadable }}"}
  convert:
    uses: convert/coreml
    inputs: {model: train.model}
    with: {target: iOS17}
  quantize:
    uses: quantize/linear
    inputs: {model: convert.model}
"""


def picture(colour: tuple[int, int, int]) -> bytes:
    """A PNG of 16 by 16 pixels, without a library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compress((b"\0" + bytes(colour) * 16) * 16)
    head = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def photos(project: Path, pipeline: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of pictures, and the pipeline that trains on them with the real toolchain."""
    if CACHE is None:
        monkeypatch.delenv("MLBUILD_CACHE_DIR")
    else:
        monkeypatch.setenv("MLBUILD_CACHE_DIR", CACHE)
    for name, base in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (project / "photos" / name).mkdir(parents=True)
        for number in range(6):
            data = picture((base[0], number * 20, base[2]))
            (project / f"photos/{name}/{number}.png").write_bytes(data)
    pipeline(TRAIN)
    return project / "photos"


def failure(done: Done, stage: str) -> str:
    (event,) = [e for e in done.events if e.get("stage") == stage]
    return str(event["error"]["message"])


@pytest.fixture
def built(photos: Path, mlbuild: Run) -> Run:
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0, done.out + done.err
    return lambda *more: mlbuild("run", "pipelines/p.yaml", "--json", *more)


# --- training data -------------------------------------------------------------------------------


def test_a_corrupt_photograph_is_skipped_and_counted_or_fatal(photos: Path, mlbuild: Run) -> None:
    (photos / "red/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + random.Random(1).randbytes(500))
    whole = (photos / "red/0.png").read_bytes()
    (photos / "blue/cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "blue/empty.jpg").touch()
    done = mlbuild("run", "pipelines/p.yaml", "train")
    assert done.code == 0, done.out + done.err
    metrics = json.loads(next(photos.parent.glob("build/p/train/metrics.json")).read_text())
    assert metrics["unreadable"] == 3
    strict = mlbuild("run", "pipelines/p.yaml", "train", "--set", "unreadable=fail", "--json")
    assert strict.code == 1
    message = failure(strict, "train")
    assert message.startswith("3 of 15 files cannot be read: ")
    for name in ("red/broken.jpg", "blue/cut.png", "blue/empty.jpg"):
        assert name in message


def test_data_that_nothing_can_be_learned_from_is_told(photos: Path, mlbuild: Run) -> None:
    shutil.rmtree(photos / "blue")
    done = mlbuild("run", "pipelines/p.yaml", "train", "--json")
    assert done.code == 1
    assert "class" in failure(done, "train")
    assert "Traceback" not in done.out
    shutil.rmtree(photos / "red")
    done = mlbuild("run", "pipelines/p.yaml", "train", "--json")
    assert done.code == 1
    assert "photos" in failure(done, "train")
    (photos / "red").mkdir()
    (photos / "blue").mkdir()
    done = mlbuild("run", "pipelines/p.yaml", "train", "--json")
    assert done.code == 1
    assert "Traceback" not in done.out


# --- damaged models ------------------------------------------------------------------------------


def test_a_weight_file_damaged_in_place_is_kept_aside_and_restored(
    project: Path, built: Run
) -> None:
    (weights,) = (project / "build/p/train").rglob("*.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    done = built()
    assert done.code == 0
    assert done.outcomes == {"train": "restored", "convert": "reused", "quantize": "reused"}
    assert done.reasons["train"] == ["output_modified"]
    assert weights.read_bytes() == whole
    (kept,) = (project / ".mlbuild/kept").rglob("*.safetensors")
    assert kept.read_bytes() == whole[: len(whole) // 2]


def test_a_weight_file_damaged_in_the_cache_is_found_out_and_made_again(
    project: Path, built: Run
) -> None:
    (weights,) = (project / "build/p/train").rglob("*.safetensors")
    whole = weights.read_bytes()
    (cached,) = [
        p
        for p in (project / ".dvc/cache/files/md5").rglob("*")
        if p.is_file() and p.stat().st_size == len(whole) and p.read_bytes() == whole
    ]
    cached.chmod(0o644)
    cached.write_bytes(whole[: len(whole) // 2])
    shutil.rmtree(project / "build/p/train")
    done = built()
    assert done.code == 0
    assert done.outcomes == {"train": "ran", "convert": "reused", "quantize": "reused"}
    assert weights.read_bytes() == whole


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("truncated", "weight.bin is cut off: a weight should start at byte"),
        ("absent", "weight.bin is missing from the package"),
        ("random spec", "model.mlmodel is no Core ML model, or cut off"),
        ("empty spec", "weights of ML Programs can be compressed, this model is: nothing"),
    ],
)
def test_a_damaged_package_given_as_input_is_a_clear_failure(
    project: Path, built: Run, mlbuild: Run, damage: str, message: str
) -> None:
    (package,) = (project / "build/p/convert").glob("*.mlpackage")
    shutil.copytree(package, project / "Given.mlpackage")
    (weights,) = (project / "Given.mlpackage").rglob("weight.bin")
    (spec,) = (project / "Given.mlpackage").rglob("*.mlmodel")
    if damage == "truncated":
        os.truncate(weights, weights.stat().st_size // 2)
    elif damage == "absent":
        weights.unlink()
    else:
        size = spec.stat().st_size if damage == "random spec" else 0
        spec.write_bytes(random.Random(2).randbytes(size))
    (project / "pipelines/q.yaml").write_text(
        "version: 1\nname: q\nstages:\n  quantize:\n    uses: quantize/palettize\n"
        "    inputs: {model: ./Given.mlpackage}\n    with: {bits: 4}\n"
    )
    done = mlbuild("run", "pipelines/q.yaml", "--json")
    assert done.code == 1, done.out + done.err
    assert message in failure(done, "quantize")
    assert not list((project / "build/q").glob("quantize/*.mlpackage"))


# --- killed processes ----------------------------------------------------------------------------


def below(leader: int) -> list[int]:
    rows = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.split()
    parent = dict(zip(map(int, rows[::2]), map(int, rows[1::2]), strict=True))
    found = [leader]
    for _ in range(8):
        found += [p for p, above in parent.items() if above in found and p not in found]
    return found[1:]


def outputs(project: Path) -> dict[str, bytes]:
    places = project / "build/p"
    return {
        p.relative_to(places).as_posix(): p.read_bytes()
        for p in places.rglob("*")
        if p.is_file() and ".work" not in p.parts
    }


def test_engine_fork_server_and_stages_killed_at_random_moments_lose_nothing(
    project: Path, built: Run, start: Start
) -> None:
    undisturbed = outputs(project)
    chance = random.Random(6)
    for number in range(8):
        shutil.rmtree(project / "build")
        shutil.rmtree(project / ".dvc/cache")
        shutil.rmtree(project / ".mlbuild")
        process = start("run", "pipelines/p.yaml", "--json")
        time.sleep(chance.uniform(0.3, 6))
        victims = [process.pid] if number % 2 else below(process.pid)
        for victim in chance.sample(victims, min(1, len(victims))):
            os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        assert process.returncode in (0, 1, -signal.SIGKILL), out + err
        whole = out[: out.rfind("\n") + 1]
        told = {
            e["stage"]
            for e in Done(0, whole, "").events
            if e["event"] == "stage" and e["outcome"] == "ran"
        }
        done = built()
        assert done.code == 0, done.out + done.err
        assert not [s for s in told if done.outcomes[s] == "ran"]
        assert outputs(project) == undisturbed
