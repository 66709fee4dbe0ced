import json

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

KIND = "train/autoencoder"
QUICK = {"image_size": 16, "channels": [8, 16], "code": 4, "epochs": 1, "grayscale": True}


def stripes(path, seed, down):
    """Stripes across, or down: what is normal, and what is not."""
    random = np.random.default_rng(seed)
    wave = 127 + 100 * np.sin(np.arange(16) * random.uniform(0.5, 0.7) + random.uniform(0, 6))
    pixels = np.tile(wave, (16, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels if down else pixels.T).astype(np.uint8)).save(path)


@pytest.fixture
def pictures(tmp_path):
    for n in range(40):
        stripes(tmp_path / "learn" / "across" / f"{n:02}.png", n, down=False)
    for n in range(10):
        stripes(tmp_path / "test" / "across" / f"{n}.png", 100 + n, down=False)
        stripes(tmp_path / "test" / "down" / f"{n}.png", 200 + n, down=True)
    return tmp_path


def train(run_kind, pictures, **params):
    inputs = {"images": pictures / "learn", "test": pictures / "test"}
    inputs = params.pop("inputs", inputs)
    return run_kind(KIND, tmp_path=pictures, inputs=inputs, params={**QUICK, **params})


def test_noise_is_taken_away_and_what_is_odd_is_seen_in_core_ml_too(run_kind, pictures):
    pytest.importorskip("coremltools")
    from mlbuild.coreml import load

    ran = train(run_kind, pictures, epochs=40, batch_size=8, learning_rate=0.01)
    assert ran.ok, ran.error
    assert ran.metrics["roc_auc"] >= 0.95
    assert ran.metrics["roc_auc_low"] <= ran.metrics["roc_auc"] <= ran.metrics["roc_auc_high"]
    assert ran.metrics["denoised_db"] > ran.metrics["noisy_db"]
    assert (ran.metrics["detected"]["n"], ran.metrics["false_alarms"]["n"]) == (10, 10)

    converted = run_kind(
        "convert/coreml", tmp_path=pictures, inputs={"model": ran.outputs["model"]}
    )
    assert converted.ok, converted.error
    model = load(converted.outputs["model"])
    described = json.loads(model.description.metadata["user_defined"]["mlbuild.model"])
    threshold = described["facts"]["threshold"]
    assert threshold == pytest.approx(ran.metrics["threshold"])
    scores = {}
    for label in ("across", "down"):
        picture = Image.open(pictures / "test" / label / "0.png")
        answer = model.predict({"image": picture})
        assert answer["restored"].size == (16, 16)
        assert answer["restored"].mode == "L"
        scores[label] = float(answer["score"][0])
        apart = np.asarray(answer["restored"], float) / 255 - np.asarray(picture, float) / 255
        assert scores[label] == pytest.approx(100 * (apart**2).mean(), rel=0.05, abs=0.02)
    assert scores["down"] > max(threshold, scores["across"])

    parity = run_kind(
        "validate/parity",
        tmp_path=pictures,
        inputs={
            "reference": ran.outputs["model"],
            "candidate": converted.outputs["model"],
            "samples": pictures / "test",
        },
    )
    assert parity.ok, parity.error
    assert parity.metrics["psnr_db"] > 40


def test_only_what_is_normal_is_learnt(run_kind, pictures):
    ran = train(
        run_kind,
        pictures,
        normal=["down"],
        inputs={"images": pictures / "test", "test": pictures / "test"},
    )

    assert ran.ok, ran.error
    assert ran.metrics["images"] + ran.json("report")["held_out"] == 10
    assert ran.metrics["false_alarms"]["n"] == 10


def test_equal_inputs_give_equal_bytes_and_a_flat_folder_will_do(run_kind, pictures, tree):
    flat = {"inputs": {"images": pictures / "learn" / "across"}}
    first, second = (train(run_kind, pictures, **dict(flat), patience=1) for _ in range(2))

    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    assert first.text("report") == second.text("report")
    assert "roc_auc" not in first.metrics


def test_the_area_under_a_hand_made_curve():
    from mlbuild.stages.train.autoencoder.judge import curve, interval, psnr, roc_auc

    normal, other = np.array([0.1, 0.4, 0.35]), np.array([0.8, 0.4, 0.2])
    # of nine pairs 3 + 2.5 + 1 are won
    assert roc_auc(normal, other) == pytest.approx(6.5 / 9)
    assert roc_auc(other, normal) == pytest.approx(2.5 / 9)
    assert roc_auc(np.zeros(3), np.zeros(4)) == 0.5
    assert roc_auc(np.zeros(3), np.ones(4)) == 1.0
    low, high = interval(0.75, 50, 50)
    # Hanley and McNeil's formula, worked out: error 0.0490
    assert (high - low) / 2 == pytest.approx(1.96 * 0.0490, abs=1e-3)
    assert curve(normal, other)[-1] == {"false_alarms": 1.0, "detected": 1.0}
    assert psnr(np.zeros(4), np.full(4, 0.1)) == pytest.approx(20)


def test_the_area_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    from mlbuild.stages.train.autoencoder.judge import roc_auc

    random = np.random.default_rng(0)
    for _ in range(5):
        normal, other = (
            random.integers(0, 20, 40) / 20,
            random.integers(5, 25, 30) / 20,
        )  # with ties
        truth = np.concatenate([np.zeros(40), np.ones(30)])
        wanted = metrics.roc_auc_score(truth, np.concatenate([normal, other]))
        assert roc_auc(normal, other) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("params", "message", "hint"),
    [
        ({"normal": ["up"]}, "normal: no picture is called 'up'", "labels are across"),
    ],
)
def test_labels_that_nothing_has_are_told(run_kind, pictures, params, message, hint):
    ran = train(run_kind, pictures, **params)

    assert (ran.kind, ran.error, ran.hint) == ("failure", message, hint)


def test_a_test_without_anomalies_is_told(run_kind, pictures):
    ran = train(
        run_kind, pictures, inputs={"images": pictures / "learn", "test": pictures / "learn"}
    )

    assert ran.error == "input 'test' holds no anomaly: its labels are across"


def test_one_picture_cannot_be_learnt(run_kind, pictures):
    for path in sorted((pictures / "learn").rglob("*.png"))[1:]:
        path.unlink()

    ran = train(run_kind, pictures)

    assert ran.error == "1 example cannot be split into some to learn and some to ask"
