"""convert/torchscript and validate/formats, run in the torch toolchain."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stages_in.torch_nets import LABELS, batch, network, write_model, write_pictures

pytestmark = [
    pytest.mark.toolchain,
    # torch deprecates what writes and reads this format; its files are still around.
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Lite Interpreter:DeprecationWarning"),
]
HOW = ((127.0, 120.0, 110.0), (128.0, 64.0, 60.0))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "net")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "photos")


@pytest.mark.parametrize("params", [{}, {"freeze": True}, {"lite": True}], ids=str)
def test_a_program_answers_as_the_network_does(
    params: dict[str, Any], model: Path, photos: Path, run_kind: Any, tmp_path: Path
) -> None:
    ran = run_kind("convert/torchscript", inputs={"model": model}, params=params, tmp_path=tmp_path)
    assert ran.ok, ran.error
    given = {"model": ran.outputs["model"], "samples": photos}
    asked = run_kind("predict/outputs", inputs=given, tmp_path=tmp_path)
    assert asked.ok, asked.error
    with np.load(asked.outputs["predictions"] / "arrays.npz") as data:
        got = data["logits"][:, 0]
    np.testing.assert_allclose(got, network(model)(batch(photos, *HOW)), rtol=1e-4, atol=1e-4)
    with zipfile.ZipFile(ran.outputs["model"]) as archive:
        names = archive.namelist()
        assert any(name.endswith("bytecode.pkl") for name in names) == bool(params.get("lite"))
        assert not any(name.endswith(".debug_pkl") for name in names)  # they hold paths


def test_a_network_that_decides_by_values_is_found_out(run_kind: Any, tmp_path: Path) -> None:
    import torch

    class Branch(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if bool(x.sum() > 0) else x

    torch.jit.save(torch.jit.script(Branch()), str(tmp_path / "branch.pt"))
    params = {
        "inputs": [{"name": "x", "shape": [1, 4], "dtype": "float32"}],
        "gives": "logits",
        "output": "probabilities",
    }
    ran = run_kind("convert/torchscript", inputs={"model": tmp_path / "branch.pt"}, params=params,
                   tmp_path=tmp_path)  # fmt: skip
    assert ran.ok, ran.error  # a script keeps its branch behind the softmax
    net = torch.jit.load(str(ran.outputs["model"]))
    for x in (torch.ones(1, 4).cumsum(1), -torch.ones(1, 4).cumsum(1)):
        wanted = torch.softmax(x * 2 if x.sum() > 0 else x, dim=-1)
        torch.testing.assert_close(net(x), wanted)


def test_what_a_program_does_not_say_is_asked_for(run_kind: Any, tmp_path: Path) -> None:
    import torch

    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), str(tmp_path / "net.pt"))
    ran = run_kind("convert/torchscript", inputs={"model": tmp_path / "net.pt"}, tmp_path=tmp_path)
    assert ran.error == "net.pt does not describe its inputs"
    assert ran.hint == "name them: inputs: {image: {shape: [1, 3, 224, 224]}}"
    params = {"inputs": [{"name": "x", "shape": [1, 4], "dtype": "float32"}]}
    ran = run_kind("convert/torchscript", inputs={"model": tmp_path / "net.pt"}, params=params,
                   tmp_path=tmp_path)  # fmt: skip
    assert ran.error.startswith("net.pt does not run on x float32[1, 4]: ")


@pytest.fixture
def asked(model: Path, photos: Path, run_kind: Any, tmp_path: Path) -> Any:
    """Predictions of the network, in torch and in Core ML."""

    def ask(kind: str | None, params: dict[str, Any] | None = None) -> Path:
        source = model
        if kind is not None:
            made = run_kind(kind, inputs={"model": model}, params=params, tmp_path=tmp_path)
            assert made.ok, made.error
            source = made.outputs["model"]
        ran = run_kind("predict/outputs", inputs={"model": source, "samples": photos},
                       tmp_path=tmp_path)  # fmt: skip
        assert ran.ok, ran.error
        return ran.outputs["predictions"]

    return ask


def test_one_table_shows_a_model_in_several_formats(
    asked: Any, model: Path, photos: Path, run_kind: Any, tmp_path: Path
) -> None:
    models = [
        asked(None),
        asked("convert/coreml"),
        asked("convert/torchscript", {"output": "probabilities"}),
    ]
    ran = run_kind("validate/formats", inputs={"models": models, "samples": photos},
                   tmp_path=tmp_path)  # fmt: skip
    assert ran.ok, ran.error
    # The oracle: the network by hand, its best classes against the folders' names.
    best = network(model)(batch(photos, *HOW)).argmax(axis=1)
    truth = [LABELS.index(p.parent.name) for p in sorted(photos.rglob("*.png"))]
    right = float(np.mean(best == truth))
    for name in ("torch", "core-ml", "torchscript"):
        assert ran.metrics[f"accuracy.{name}"]["value"] == right
        assert ran.metrics[f"agreement.{name}"] | {"low": 0, "high": 0} == {
            "value": 1.0, "n": 8, "low": 0, "high": 0
        }  # fmt: skip
    assert ran.metrics["psnr_db.torch"] == 200
    assert ran.metrics["psnr_db.torchscript"] > 120  # probabilities, brought back to logits
    assert 50 < ran.metrics["psnr_db.core-ml"] < 110  # float16
    table = ran.json("report")["table"]
    assert [row["format"] for row in table] == ["torch", "Core ML", "TorchScript"]
    assert "Core ML" in ran.text("page")


def test_models_of_other_labels_are_refused_by_name(
    asked: Any, photos: Path, run_kind: Any, tmp_path: Path
) -> None:
    import json
    import shutil

    first = asked(None)
    other = tmp_path / "other"
    shutil.copytree(first, other)
    facts = json.loads((other / "predictions.json").read_text())
    facts["labels"][0] = "acorn"
    (other / "predictions.json").write_text(json.dumps(facts))
    ran = run_kind("validate/formats", inputs={"models": [first, other], "samples": photos},
                   params={"names": ["mine", "theirs"]}, tmp_path=tmp_path)  # fmt: skip
    assert ran.error == "theirs: the models have different labels, such as 'acorn'"
