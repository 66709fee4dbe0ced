"""Self-tests: recorded here, then run with the reference runtime in Core ML's place."""

import json
import runpy
import struct
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
from mlbuild.coreml import disable_predict, enable_predict  # noqa: E402
from mlbuild.coreml.golden import open_golden  # noqa: E402
from tests.stages.validate.conftest import made, package, photos, torch_model  # noqa: E402, F401

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]


@pytest.fixture
def packed(run_kind, package, photos, tmp_path):  # noqa: F811
    """``packed(limit=4) -> Ran``, by default of the small classifier."""

    def run(model=package, samples=photos, **params):
        inputs = {"model": model, "samples": samples}
        return run_kind("package/selftest", params=params, inputs=inputs, tmp_path=tmp_path)

    return run


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def on_a_mac(monkeypatch, capsys):
    """``on_a_mac(folder, "--unit", "ALL")`` runs the folder's script as a Mac would.

    coremltools predicts by the reference runtime, in float32 arithmetic, so that its answers are
    near the recorded ones and not the same.
    """
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.mac_ver", lambda: ("26.1", ("", "", ""), "arm64"))
    monkeypatch.setattr("subprocess.run", lambda *_, **__: SimpleNamespace(stdout="double"))

    def run(folder, *arguments):
        for name in [name for name in sys.modules if name.startswith("mlbuild_selftest")]:
            del sys.modules[name]
        monkeypatch.setattr("sys.path", [*sys.path])
        main = runpy.run_path(str(folder / "selftest.py"))["main"]
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    enable_predict(precision="float32")
    yield run
    disable_predict()


def test_the_folder_holds_all_that_a_mac_needs(packed, package, tree):  # noqa: F811
    ran = packed(limit=4)

    assert ran.ok, ran.error
    folder = ran.outputs["selftest"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "Model.mlpackage",
        "README.md",
        "mlbuild_selftest",
        "recording",
        "selftest.json",
        "selftest.py",
    ]
    assert tree(folder / "Model.mlpackage") == tree(package)
    assert ran.metrics["samples"] == 4
    assert ran.metrics["tolerance_db"] == 40  # float16
    assert 40 < ran.metrics["rounding_db"] < 100
    readme = (folder / "README.md").read_text()
    assert "python3 -m pip install coremltools numpy pillow" in readme
    assert "| CPU_ONLY | 40 | float16: units round in other places" in readme


def test_equal_inputs_give_equal_folders(packed, tree):
    assert tree(packed().outputs["selftest"]) == tree(packed().outputs["selftest"])


def test_the_script_passes_where_core_ml_answers_alike(packed, on_a_mac, tmp_path):
    folder = packed(limit=4).outputs["selftest"]
    done = on_a_mac(folder, "--json", tmp_path / "found.json")

    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("Model: 4 samples, macOS 26.1, ")
    assert lines[1].startswith("  ok   CPU_ONLY    classLabel: 200.0 dB (at least 40), ")
    assert lines[-1] == "all within tolerance"
    found = json.loads((tmp_path / "found.json").read_text())
    scores = [f for f in found["findings"] if f["output"] != "classLabel"]
    assert all(40 < f["psnr_db"] < 200 for f in scores)  # near, and not the same
    assert found["margin_db"] == min(f["psnr_db"] - 40 for f in found["findings"])


def test_the_script_stands_on_numpy_and_coremltools_alone(packed):
    folder = packed(limit=2).outputs["selftest"]
    code = """
        import sys
        before = set(sys.modules)
        sys.path.insert(0, {folder!r})
        from mlbuild_selftest.golden.selfcheck import open_selftest
        open_selftest({folder!r}).golden.inputs()
        new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
        third = new - set(sys.stdlib_module_names) - {{"mlbuild_selftest"}}
        print(sorted(name for name in third if not name.startswith("_")))
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(code.format(folder=str(folder)))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "['PIL', 'numpy']\n", done.stderr


def disturb_weights(package):  # noqa: F811
    """Other numbers in the largest blob of the weight file, whose layout stays."""
    file = package / "Data/com.apple.CoreML/weights/weight.bin"
    data, place, blobs = bytearray(file.read_bytes()), 64, []
    while place < len(data):
        _, _, size, begins = struct.unpack_from("<IIQQ", data, place)
        blobs.append((size, begins))
        place = -(-(begins + size) // 64) * 64
    size, begins = max(blobs)
    for byte in range(begins + 1, begins + size, 2):
        data[byte] ^= 0x80  # the signs
    file.write_bytes(bytes(data))


def test_a_disturbed_weight_is_seen_by_its_bytes_and_by_its_answers(packed, on_a_mac):
    folder = packed(limit=4).outputs["selftest"]
    disturb_weights(folder / "Model.mlpackage")

    refused = on_a_mac(folder)
    assert refused.code == 2
    assert "this is not the model that was recorded" in refused.err
    assert "got: other bytes in Data/com.apple.CoreML/weights/weight.bin" in refused.err
    assert "Traceback" not in refused.err
    asked = on_a_mac(folder, "--other-model", "--unit", "CPU_ONLY")
    assert asked.code == 1, asked.err
    assert "FAIL CPU_ONLY" in asked.out
    assert asked.out.endswith("NOT within tolerance\n")


def change_answers(folder, change):
    """Record other answers, with digests that are right."""
    from mlbuild.coreml.golden.folder import sha256, write_values

    golden = open_golden(folder / "recording")
    values = golden.answers("reference")
    change(values[0])
    write_values(golden.folder, "reference", values)
    file = golden.folder / "golden.json"
    facts = json.loads(file.read_text())
    for name in ("reference.npz", "reference.json"):
        facts["files"][name] = sha256(golden.folder / name)
    file.write_text(json.dumps(facts))


def test_another_label_fails_with_both_words(packed, on_a_mac):
    folder = packed(limit=4).outputs["selftest"]

    def change(values):
        right = values["classLabel"]
        values["classLabel"] = "elm" if right != "elm" else "ash"

    change_answers(folder, change)
    done = on_a_mac(folder, "--unit", "ALL")

    assert done.code == 1, done.err
    assert "FAIL ALL         classLabel: 0.0 dB" in done.out
    assert "(1 of 4 differ)" in done.out


def test_answers_that_moved_beyond_the_tolerance_fail(packed, on_a_mac):
    folder = packed(limit=4).outputs["selftest"]
    names = []

    def change(values):
        name = next(n for n, v in values.items() if isinstance(v, dict))
        names.append(name)
        values[name] = {label: score + 0.05 for label, score in values[name].items()}

    change_answers(folder, change)
    done = on_a_mac(folder)

    assert done.code == 1, done.err
    assert f"FAIL CPU_ONLY    {names[0]}: " in done.out


def test_a_damaged_recording_and_a_wrong_unit_are_told_apart_from_a_failure(packed, on_a_mac):
    folder = packed(limit=2).outputs["selftest"]
    unknown = on_a_mac(folder, "--unit", "CPU_AND_GPU")
    assert (unknown.code, unknown.err) == (
        2,
        "the self-test has no such compute unit\n  got: CPU_AND_GPU\n  allowed: CPU_ONLY, ALL\n",
    )
    with (folder / "recording" / "reference.npz").open("ab") as file:
        file.write(b" ")
    damaged = on_a_mac(folder)
    assert damaged.code == 2
    assert "a file of the recording is not what was recorded" in damaged.err


def test_what_core_ml_refuses_is_no_failed_comparison(packed):
    from mlbuild.coreml import ExecutionError
    from mlbuild.coreml.golden.selfcheck import run_selftest

    def refuse(path, unit):
        raise RuntimeError("Error computing NN outputs.")

    folder = packed(limit=2).outputs["selftest"]
    with pytest.raises(ExecutionError) as told:
        run_selftest(folder, opened=refuse, system={})
    assert str(told.value) == (
        "Model.mlpackage on CPU_ONLY: Core ML did not answer: Error computing NN outputs."
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Core ML")
def test_elsewhere_the_script_says_that_it_needs_a_mac(packed):
    folder = packed(limit=2).outputs["selftest"]
    done = subprocess.run(
        [sys.executable, folder / "selftest.py"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert done.stderr.startswith("golden answers are Core ML's own, which only macOS has\n")


def test_a_python_without_numpy_is_told(packed):
    folder = packed(limit=2).outputs["selftest"]
    code = "import sys; sys.modules['numpy'] = None; sys.argv = ['x']; " + (
        f"import runpy; runpy.run_path({str(folder / 'selftest.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("import of numpy halted")
    assert "Traceback" not in done.stderr


def test_the_model_may_lie_elsewhere(packed, on_a_mac, package):  # noqa: F811
    folder = packed(limit=2, include_model=False, name="Trees").outputs["selftest"]

    assert not (folder / "Trees.mlpackage").exists()
    assert "python3 selftest.py --model Trees.mlpackage" in (folder / "README.md").read_text()
    missing = on_a_mac(folder)
    assert missing.code == 2
    assert "hint: say where the model lies: --model PATH" in missing.err
    assert on_a_mac(folder, "--model", package).code == 0


@pytest.fixture
def noise(tmp_path):
    """A model of arrays that adds random numbers, or none, and samples for it."""
    import coremltools as ct
    import numpy as np
    from coremltools.converters.mil import Builder as mb  # noqa: N813

    (tmp_path / "arrays").mkdir()
    for number in range(3):
        np.savez(tmp_path / "arrays" / f"{number}.npz", x=np.full((1, 4), float(number)))

    def make(amount):
        @mb.program(input_specs=[mb.TensorSpec(shape=(1, 4))], opset_version=ct.target.iOS17)
        def drawing(x):
            if not amount:
                return mb.tanh(x=x, name="y")
            drawn = mb.random_uniform(shape=np.array([1, 4]), low=0.0, high=float(amount))
            return mb.add(x=x, y=drawn, name="y")

        path = tmp_path / f"Noise{amount}.mlpackage"
        ct.convert(drawing, minimum_deployment_target=ct.target.iOS17).save(str(path))
        return path

    return make


def test_a_model_of_arrays_is_recorded_and_passes(packed, on_a_mac, noise, tmp_path):
    ran = packed(noise(0), tmp_path / "arrays", units=["CPU_AND_GPU", "CPU_ONLY"])

    assert ran.ok, ran.error
    done = on_a_mac(ran.outputs["selftest"])
    assert done.code == 0, done.err
    assert [line.split()[1] for line in done.out.splitlines()[1:3]] == ["CPU_ONLY", "CPU_AND_GPU"]
    assert not list(ran.outputs["selftest"].rglob("__pycache__"))
    recorded = open_golden(ran.outputs["selftest"] / "recording").inputs()
    assert {values["x"].dtype.name for values in recorded} == {"float32"}
    assert "numpy pillow" not in (ran.outputs["selftest"] / "README.md").read_text()


def test_a_model_that_draws_random_numbers_is_refused(packed, noise, tmp_path):
    ran = packed(noise(1), tmp_path / "arrays")

    assert ran.error == (
        "the model answers differently when it is asked twice: it draws random numbers"
    )


def test_a_tolerance_can_be_given_and_yields_to_what_rounding_costs(packed, noise, tmp_path):
    from mlbuild.stages.package.selftest.run import _limit

    from mlbuild.coreml.golden.tolerances import Tolerance

    ran = packed(noise(0), tmp_path / "arrays", min_psnr_db=72.5)
    assert ran.metrics["tolerance_db"] == 72.5
    usual = Tolerance(40, "float16")
    assert _limit(usual, None, 60) == usual
    assert _limit(usual, None, 42.04) == Tolerance(
        36.0, "float16 rounding alone moves these answers by 42 dB"
    )
    assert _limit(usual, 50, 30) == Tolerance(50, "given by the pipeline")


def test_mlbuild_golden_reads_the_recording_again(packed):
    from mlbuild.coreml.golden import check

    folder = packed(limit=3).outputs["selftest"]

    checked = check(folder / "recording")
    assert checked.within
    assert {f.psnr_db for f in checked.findings} == {200.0}


def test_the_stage_runs_the_same_test_and_records_its_figures(packed, on_a_mac, run_kind, tmp_path):
    folder = packed(limit=4).outputs["selftest"]
    ran = run_kind("validate/core-ml", inputs={"selftest": folder}, tmp_path=tmp_path)
    change_answers(folder, lambda values: values.update(classLabel="nothing"))
    broken = run_kind("validate/core-ml", inputs={"selftest": folder}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    assert ran.metrics["margin_db"] > 0
    assert ran.metrics["psnr_db"] == ran.metrics["margin_db"] + 40
    assert ran.json("report")["within"]
    assert ran.json("report")["system"]["chip"] == "double"
    assert broken.ok  # the gate decides
    assert broken.metrics["margin_db"] == -200
    assert "CPU_ONLY classLabel: Core ML says " in broken.log


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Core ML")
def test_the_stage_refuses_other_systems_by_name(packed, run_kind, tmp_path):
    folder = packed(limit=2).outputs["selftest"]
    ran = run_kind("validate/core-ml", inputs={"selftest": folder}, tmp_path=tmp_path)

    assert ran.error == ("validate/core-ml needs Core ML, which only macOS has; this is Linux")
    assert ran.hint == (
        "run the stage on a Mac: a macOS runner, or a worker that has `resources: {macos: 1}`; "
        "elsewhere leave it out by `if`"
    )
