"""Locks: what is a pin, what enters the digest, which lines are refused."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker

from mlbuild.errors import PipelineError, Place
from mlbuild.records import ToolchainSpec
from mlbuild.toolchains import Lock, Pin, hashes, pins
from mlbuild.toolchains.inspection import applies


def _digest(text: str, python: str = "3.11") -> str:
    return Lock("ours", python, pins.parse_requirements(text, "r.txt")).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("a==1\nb==2", "b==2\na==1", id="order"),
        pytest.param("a==1", "# why\n\na == 1   # because\n", id="comments and spaces"),
        pytest.param("Some_Pkg==1", "some-pkg==1", id="spelling of the name"),
        pytest.param("a==1", "a==1 --hash=sha256:00", id="hashes of the download"),
        pytest.param("a==1", "a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01", id="lines"),
    ],
)
def test_what_changes_nothing_leaves_the_digest_alone(one: str, other: str) -> None:
    assert _digest(one) == _digest(other)


def test_versions_python_and_extras_change_the_digest() -> None:
    texts = ["a==1", "a==2", "b==1", "a[x]==1", "a==1\nb==1", "a==1 ; sys_platform == 'linux'"]
    digests = {_digest(t) for t in texts} | {_digest("a==1", "3.12")}
    assert len(digests) == len(texts) + 1


@given(st.permutations(["a==1", "b==2", "c==3 ; sys_platform == 'linux'", "d[e]==4"]))
def test_no_order_of_lines_changes_the_digest(lines: list[str]) -> None:
    assert _digest("\n".join(lines)) == _digest("\n".join(sorted(lines)))


def test_all_lines_that_are_no_pins_are_told_at_once() -> None:
    text = "numpy>=2\n--index-url https://example.org\nok==1\ntorch\nok==2\nx==1.*\n"
    with pytest.raises(PipelineError) as caught:
        pins.parse_requirements(text, "req.txt")
    assert caught.value.render() == (
        "req.txt:1:1: 'numpy>=2' is not pinned to one version\n"
        "   1 | numpy>=2\n     | ^\n"
        "  hint: write numpy==VERSION; `pip freeze` prints such lines\n"
        "req.txt:2:1: options are not allowed in a toolchain's requirements\n"
        "   2 | --index-url https://example.org\n     | ^\n"
        "  hint: list every package here; the package index comes from pip's own configuration\n"
        "req.txt:4:1: 'torch' is not pinned to one version\n"
        "   4 | torch\n     | ^\n"
        "  hint: write torch==VERSION; `pip freeze` prints such lines\n"
        "req.txt:5:1: 'ok' stands twice\n"
        "   5 | ok==2\n     | ^\n"
        "req.txt:6:1: 'x==1.*' is not pinned to one version\n"
        "   6 | x==1.*\n     | ^\n"
        "  hint: write x==VERSION; `pip freeze` prints such lines"
    )


def test_an_empty_list_is_python_alone() -> None:
    assert pins.parse_requirements("# nothing\n", "req.txt") == ()


def test_one_package_may_stand_twice_for_two_platforms() -> None:
    text = "a==1 ; sys_platform == 'linux'\na==2 ; sys_platform == 'darwin'"
    assert [p.version for p in pins.parse_requirements(text, "r")] == ["1", "2"]


def test_a_missing_requirements_file_is_told_with_its_place(tmp_path: Path) -> None:
    spec = ToolchainSpec("ours", "3.11", "./no.txt", Place("p.yaml", 3, 5))
    with pytest.raises(PipelineError) as caught:
        pins.custom(spec, tmp_path)
    assert caught.value.render() == (
        "p.yaml:3:5: toolchain 'ours': cannot read its requirements ./no.txt\n"
        "  got: No such file or directory"
    )


def test_python_is_a_minor_version(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        pins.custom(ToolchainSpec("ours", "3.11.4", "r.txt"), tmp_path)
    assert caught.value.render() == (
        "toolchain 'ours': Python is given as major and minor version\n"
        "  got: 3.11.4\n"
        '  hint: write python: "3.11"'
    )


def test_a_marker_of_another_platform_does_not_apply() -> None:
    assert not applies(Pin("a", "1", marker="sys_platform == 'win32'"), "3.11")
    assert applies(Pin("a", "1", marker="python_version == '3.8'"), "3.8")


def test_variables_of_a_toolchain_change_the_digest_and_platforms_do_not() -> None:
    plain = Lock("ours", "3.11", (Pin("a", "1"),))
    assert replace(plain, platforms=("linux-x86_64",), closed=True).digest == plain.digest
    assert replace(plain, hashes=Path("ours.sha256"), imports=("a",)).digest == plain.digest
    varied = replace(plain, environ=(("LEGACY", "1"),))
    assert varied.digest != plain.digest
    assert varied.lines == ("python==3.11", "environ LEGACY==1", "a==1")


PLATFORMS = {"linux-x86_64": "manylinux", "darwin-arm64": "macosx"}


@pytest.mark.parametrize("name", pins.builtin_names())
def test_every_pin_that_ships_has_a_file_for_each_platform_with_its_hash(name: str) -> None:
    lock = pins.builtin(name)
    assert lock.hashes is not None
    lines = lock.hashes.read_text("utf-8").splitlines()
    files = [file for _, file in map(str.split, lines)]
    assert len(set(files)) == len(files)
    assert all(re.fullmatch(r"[0-9a-f]{64}  \S+", line) for line in lines)
    assert files == sorted(files)
    for platform in lock.platforms:
        able = {
            hashes._pinned_by(file)
            for file in files
            if PLATFORMS[platform] in file or file.endswith(("-any.whl", ".tar.gz", ".zip"))
        }
        where = "linux" if platform.startswith("linux") else "darwin"
        mine = {
            (pin.name, pin.version)
            for pin in lock.requirements
            if not pin.marker or Marker(pin.marker).evaluate({"sys_platform": where})
        }
        assert mine - able == set()
    assert {hashes._pinned_by(file) for file in files} == set(lock.pins)
    assert all(pin.hashes for pin in hashes.with_hashes(lock))


@pytest.mark.parametrize("name", pins.builtin_names())
def test_every_lock_that_ships_is_sound(name: str) -> None:
    lock = pins.builtin(name)
    assert lock.name == name
    assert set(lock.platforms) <= set(PLATFORMS)
    assert "linux-x86_64" in lock.platforms
    assert lock.preload
    text = (Path(pins.__file__).parent / "locks" / f"{name}.toml").read_text("utf-8")
    told = tomllib.loads(text)
    wanted = {pins.normalized(re.split(r"[<>=\s]", want)[0]) for want in told["wants"]}
    assert wanted <= {pin.name for pin in lock.requirements}
    assert told["wants"] == sorted(told["wants"])
    assert [pins.parse_pin(line) for line in told["pins"]] == list(lock.requirements)
    assert re.fullmatch(r"3\.\d+", lock.python)
    assert len(lock.pins) == len(set(lock.pins)) > 0
    assert not any("+" in version for _, version in lock.pins)  # a local part is one machine's


def test_the_torch_lock_holds_what_was_measured() -> None:
    facts = {"torch": "2.13.0", "coremltools": "9.0", "scikit-learn": "1.5.1", "numpy": "2.3.5"}
    assert facts.items() <= dict(pins.builtin("torch").pins).items()


def test_torch_is_the_same_in_every_toolchain() -> None:
    versions = {dict(pins.builtin(name).pins).get("torch") for name in pins.builtin_names()}
    assert versions == {None, "2.13.0"}  # another one pulls gigabytes of CUDA


def test_keras_of_the_tensorflow_toolchain_is_the_one_that_coremltools_converts() -> None:
    assert pins.builtin("tensorflow").environ == (("TF_USE_LEGACY_KERAS", "1"),)
