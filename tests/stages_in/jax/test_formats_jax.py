"""convert/coreml and predict/outputs in the jax toolchain, against JAX itself."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stages_in.torch_nets import LABELS, batch, write_pictures

pytestmark = pytest.mark.toolchain
HOW = ((127.0, 120.0, 110.0), (128.0, 64.0, 60.0))


def _net() -> Any:
    import jax
    from jax import lax

    random = np.random.default_rng(0)
    first = random.normal(size=(3, 3, 3, 8)).astype(np.float32) / 2
    last = random.normal(size=(8, 4)).astype(np.float32)

    def net(image: Any) -> Any:
        axes = ("NHWC", "HWIO", "NHWC")
        x = jax.nn.relu(lax.conv_general_dilated(image, first, (1, 1), "SAME", None, None, axes))
        x = lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return x.mean(axis=(1, 2)) @ last

    return net


def _export(function: Any, file: Path, *shapes: tuple[int, ...]) -> Path:
    import jax
    from jax import export

    given = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
    found = export.export(jax.jit(function), platforms=["cpu"])(*given)
    file.write_bytes(bytes(found.serialize()))
    return file


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A classifier of pictures with channels last, as JAX likes them, that says so."""
    file = _export(_net(), tmp_path / "net.jax", (1, 16, 16, 3))
    how = {"height": 16, "width": 16, "mean": HOW[0], "std": HOW[1]}
    described = {
        "inputs": [{"name": "image", "kind": "image", "layout": "NHWC", "shape": [1, 16, 16, 3],
                    "dtype": "float32", "preprocessing": how}],
        "outputs": [{"name": "logits", "gives": "logits"}],
        "labels": list(LABELS),
    }  # fmt: skip
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("mlbuild.description.json", json.dumps(described))
    return file


def test_pictures_reach_a_net_with_channels_last_and_its_package_with_channels_first(
    model: Path, run_kind: Any, tmp_path: Path
) -> None:
    from mlbuild.coreml import load

    photos = write_pictures(tmp_path / "photos")
    given = {"model": model, "samples": photos}
    asked = run_kind("predict/outputs", inputs=given, tmp_path=tmp_path)
    assert asked.ok, asked.error
    wanted = np.asarray(_net()(batch(photos, *HOW).transpose(0, 2, 3, 1)))
    with np.load(asked.outputs["predictions"] / "arrays.npz") as data:
        np.testing.assert_allclose(data["logits"][:, 0], wanted, rtol=1e-4, atol=1e-4)
    params = {"target": "iOS18", "precision": "float32", "image": False, "output": "logits"}
    ran = run_kind("convert/coreml", inputs={"model": model}, params=params, tmp_path=tmp_path)
    assert ran.ok, ran.error
    package = load(str(ran.outputs["model"]))
    feed = batch(photos, *HOW).transpose(0, 2, 3, 1)
    got = [package.predict({"image": one[None]})["logits"][0] for one in feed]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    ran = run_kind("convert/coreml", inputs={"model": model}, params={"target": "iOS18"},
                   tmp_path=tmp_path)  # fmt: skip
    assert ran.ok, ran.error
    (given,) = ran.json("report")["inputs"]
    assert (given["type"], given["width"], given["height"]) == ("image", 16, 16)
    assert ran.json("report")["labels"] == list(LABELS)


def test_a_silent_function_is_named_by_its_maps(run_kind: Any, tmp_path: Path) -> None:
    from mlbuild.coreml import load

    file = _export(lambda a, b: {"sum": a + b, "product": a * b}, tmp_path / "f.jax", (2,), (2,))
    given = {"inputs": [{"name": "left", "shape": None}, {"name": "right", "shape": None}]}
    params = {"target": "iOS18", "precision": "float32", **given}
    ran = run_kind("convert/coreml", inputs={"model": file}, params=params, tmp_path=tmp_path)
    assert ran.ok, ran.error
    left, right = np.float32([1, 2]), np.float32([5, 7])
    found = load(str(ran.outputs["model"])).predict({"left": left, "right": right})
    np.testing.assert_array_equal(found["sum"], left + right)
    np.testing.assert_array_equal(found["product"], left * right)


def test_what_jax_exports_needs_ios18(model: Path, run_kind: Any, tmp_path: Path) -> None:
    ran = run_kind("convert/coreml", inputs={"model": model}, tmp_path=tmp_path)
    assert ran.error == "target: iOS17, but what JAX exports needs operators of iOS18"
    assert ran.hint == "set target: iOS18 or macOS15"


def test_an_operator_without_a_counterpart_is_told(run_kind: Any, tmp_path: Path) -> None:
    import jax

    file = _export(jax.lax.linalg.cholesky, tmp_path / "f.jax", (3, 3))
    ran = run_kind("convert/coreml", inputs={"model": file}, params={"target": "iOS18"},
                   tmp_path=tmp_path)  # fmt: skip
    assert not ran.ok
    assert ran.error.startswith("stablehlo-coreml cannot convert this function: ")


def test_a_file_of_another_kind_is_refused(run_kind: Any, tmp_path: Path) -> None:
    (tmp_path / "f.jax").write_bytes(b"nothing of the sort" * 9)
    ran = run_kind("convert/coreml", inputs={"model": tmp_path / "f.jax"},
                   params={"target": "iOS18"}, tmp_path=tmp_path)  # fmt: skip
    assert not ran.ok
    assert ran.error.startswith("f.jax is nothing that jax.export serialized: ")
    assert ran.hint == "write it with jax.export.export(jax.jit(f))(...).serialize()"
