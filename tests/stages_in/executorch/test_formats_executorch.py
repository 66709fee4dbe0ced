"""convert/executorch and predict/outputs in the executorch toolchain, against torch itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stages_in.torch_nets import batch, network, write_model, write_pictures

pytestmark = pytest.mark.toolchain
HOW = ((127.0, 120.0, 110.0), (128.0, 64.0, 60.0))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "net")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "photos")


@pytest.fixture
def ask(photos: Path, run_kind: Any, tmp_path: Path) -> Any:
    """The answers of a program to the photos."""

    def asked(program: Path) -> Any:
        given = {"model": program, "samples": photos}
        ran = run_kind("predict/outputs", inputs=given, tmp_path=tmp_path)
        assert ran.ok, ran.error
        with np.load(ran.outputs["predictions"] / "arrays.npz") as data:
            return data["logits"][:, 0]

    return asked


@pytest.mark.parametrize(("backend", "delegated"), [("xnnpack", 1), ("portable", 0)])
def test_a_program_answers_as_torch_does(
    backend: str, delegated: int, model: Path, photos: Path, ask: Any, run_kind: Any, tmp_path: Path
) -> None:
    ran = run_kind("convert/executorch", inputs={"model": model}, params={"backend": backend},
                   tmp_path=tmp_path)  # fmt: skip
    assert ran.ok, ran.error
    assert ran.metrics["delegated"] == delegated
    assert (ran.metrics["left_over"] > 0) == (backend == "portable")
    wanted = network(model)(batch(photos, *HOW))
    np.testing.assert_allclose(ask(ran.outputs["model"]), wanted, rtol=1e-4, atol=1e-4)


def test_eight_bits_are_smaller_and_near(
    model: Path, photos: Path, ask: Any, run_kind: Any, tmp_path: Path
) -> None:
    lacking = run_kind("convert/executorch", inputs={"model": model}, params={"quantize": "int8"},
                       tmp_path=tmp_path)  # fmt: skip
    assert lacking.error == "quantize: int8 measures its scales on samples, and there are none"
    ran = run_kind(
        "convert/executorch", inputs={"model": model, "samples": photos},
        params={"quantize": "int8"}, tmp_path=tmp_path,
    )  # fmt: skip
    assert ran.ok, ran.error
    wanted = network(model)(batch(photos, *HOW))
    got = ask(ran.outputs["model"])
    error = np.abs(got - wanted).max() / np.ptp(wanted)
    assert 1e-4 < error < 0.1  # 8 bits were used, and are enough


def test_a_program_for_core_ml_is_written_but_not_run(
    model: Path, photos: Path, run_kind: Any, tmp_path: Path
) -> None:
    ran = run_kind("convert/executorch", inputs={"model": model}, params={"backend": "coreml"},
                   tmp_path=tmp_path)  # fmt: skip
    assert ran.ok, ran.error
    assert ran.metrics["delegated"] == 1
    assert "cannot be run here" in ran.log
    given = {"model": ran.outputs["model"], "samples": photos}
    asked = run_kind("predict/outputs", inputs=given, tmp_path=tmp_path)
    assert asked.error.startswith("model.pte is no ExecuTorch program that can be run here: ")


def test_a_file_of_another_kind_is_refused(run_kind: Any, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "net.pte").write_bytes(b"nothing of the sort" * 9)
    given = {"model": tmp_path / "net.pte", "samples": photos}
    ran = run_kind("predict/outputs", inputs=given, tmp_path=tmp_path)
    assert not ran.ok
    assert ran.error.startswith("net.pte is no ExecuTorch program that can be run here: ")
    ran = run_kind("convert/executorch", inputs={"model": tmp_path / "net.pte"}, tmp_path=tmp_path)
    assert ran.error == "net.pte is neither a torch model, TorchScript nor an exported program"
