import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite_pytorch")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

KIND = "train/image-similarity"


def picture(path, seed, colour):
    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = random.integers(-30, 30, (24, 24, 3)) + np.array(colour)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for label, colour in (
        ("blue", (40, 40, 200)),
        ("green", (40, 200, 40)),
        ("red", (200, 40, 40)),
    ):
        for n in range(4):
            picture(folder / label / f"{n}.png", n, colour)
    return folder


@pytest.fixture
def backbone(tmp_path):
    """A network whose features are, by hand, how much there is of each colour and how little."""
    from mlbuild.stages._shared.torch_model.architectures import build
    from mlbuild.stages._shared.torch_model.model_file import Description, save
    from mlbuild.stages._shared.torch_model.preprocessing import Preprocessing

    arguments = {"channels": [6]}
    net = build("small-cnn", arguments, 2)
    with torch.no_grad():
        first, second = net.stages[0][0].weight, net.stages[0][3].weight
        first.zero_(), second.zero_()
        for n in range(6):
            first[n, n // 2, 1, 1] = 1.0 - 2.0 * (n % 2)
            second[n, n, 1, 1] = 1.0
    how = Preprocessing(16, 16, crop=1.0)
    save(net, Description("small-cnn", arguments, ("a", "b"), how), tmp_path / "backbone")
    return tmp_path / "backbone"


def train(run_kind, tmp_path, images, backbone, inputs=None, **params):
    given = {"images": images, "backbone": backbone, **(inputs or {})}
    return run_kind(KIND, tmp_path=tmp_path, inputs=given, params={"neighbors": 3, **params})


def test_the_nearest_in_the_core_ml_model_are_the_nearest_by_hand(
    run_kind, photos, backbone, tmp_path
):
    pytest.importorskip("coremltools")
    from mlbuild.stages._shared.torch_model.model_file import load as load_torch

    from mlbuild.coreml import load

    ran = train(run_kind, tmp_path, photos, backbone)
    assert ran.ok, ran.error
    assert ran.metrics["recall_at_1"] == pytest.approx(
        {"value": 1.0, "n": 12, "low": 0.7575, "high": 1.0}, abs=1e-3
    )
    assert ran.metrics["map"] == 1.0
    references = ran.json("references")
    assert references[0] == {"name": "blue/0.png", "label": "blue"}

    converted = run_kind(
        "convert/coreml",
        tmp_path=tmp_path,
        inputs={"model": ran.outputs["model"]},
        params={"precision": "float32"},
    )
    assert converted.ok, converted.error
    model, torch_model = load(converted.outputs["model"]), load_torch(ran.outputs["model"])
    query = Image.open(photos / "green" / "2.png")
    answer = model.predict({"image": torch_model.description.preprocessing.fit(query)})

    embedded = [
        torch_model.net.embed(torch_model.preprocess(Image.open(photos / r["name"]))[None])[0]
        for r in references
    ]
    mine = torch_model.net.embed(torch_model.preprocess(query)[None])[0]
    wanted = np.array([float(torch.linalg.norm(e - mine).detach()) for e in embedded])
    assert answer["distances"][0] == pytest.approx(wanted, abs=2e-3)
    assert answer["nearest"][0, 0] == 6  # itself: the third of green
    assert answer["labels"][0].tolist() == [1, 1, 1]
    assert np.linalg.norm(answer["embedding"]) == pytest.approx(1, abs=1e-3)
    described = json.loads(model.description.metadata["user_defined"]["mlbuild.model"])
    assert described["facts"]["references"] == references
    assert described["labels"] == ["blue", "green", "red"]


@pytest.mark.parametrize(
    ("projection", "distance"), [("none", "cosine"), ("pca", "euclidean"), ("learned", "cosine")]
)
def test_every_projection_keeps_parity(
    run_kind, photos, backbone, tmp_path, tree, projection, distance
):
    pytest.importorskip("coremltools")
    params = {"projection": projection, "dimensions": 4, "distance": distance, "epochs": 30}
    ran = train(run_kind, tmp_path, photos, backbone, **params)
    assert ran.ok, ran.error
    assert ran.metrics["dimensions"] == (6 if projection == "none" else 4)
    again = train(run_kind, tmp_path, photos, backbone, **params)
    assert tree(ran.outputs["model"]) == tree(again.outputs["model"])

    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": ran.outputs["model"]}
    )
    assert converted.ok, converted.error
    parity = run_kind(
        "validate/parity",
        tmp_path=tmp_path,
        inputs={
            "reference": ran.outputs["model"],
            "candidate": converted.outputs["model"],
            "samples": photos,
        },
    )
    assert parity.ok, parity.error
    assert parity.metrics["psnr_db"] > 40
    assert parity.metrics["agreement.labels"]["n"] == 36
    assert parity.metrics["agreement.labels"]["value"] == 1.0


def test_ranks_and_precision_of_a_hand_made_case():
    from mlbuild.stages.train.image_similarity.judge import Verdict, _ranks

    likeness = np.array([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]])
    first, precision = _ranks(likeness, ["a", "b"], ["b", "a", "a", "b"])

    assert first.tolist() == [2, 1]  # b a a b; b a a b from behind
    assert precision == pytest.approx([(1 / 2 + 2 / 3) / 2, (1 + 2 / 4) / 2])
    assert Verdict("", first, precision).recall(1).tolist() == [False, True]


def test_average_precision_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    from mlbuild.stages.train.image_similarity.judge import _ranks

    random = np.random.default_rng(0)
    likeness, known = random.random((6, 30)), [str(n) for n in random.integers(0, 4, 30)]
    _, precision = _ranks(likeness, ["1"] * 6, known)

    right = np.array(known) == "1"
    wanted = [metrics.average_precision_score(right, row) for row in likeness]
    assert precision == pytest.approx(wanted)


def test_pictures_without_labels_find_themselves_again(run_kind, backbone, tmp_path):
    folder = tmp_path / "flat"
    for n, colour in enumerate(((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40))):
        picture(folder / f"{n}.png", n, colour)

    ran = train(run_kind, tmp_path, folder, backbone)

    assert ran.ok, ran.error
    assert ran.metrics["found_again"]["value"] == 1.0
    assert ran.metrics["found_again"]["n"] == 4
    assert "recall_at_1" not in ran.metrics


def test_a_pretrained_backbone_is_used_where_none_is_given(run_kind, photos, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"images": photos, "test": photos},
        params={"image_size": 64, "neighbors": 1},
    )

    assert ran.ok, ran.error
    assert ran.metrics["dimensions"] == 1280
    assert ran.json("report")["evaluated_on"] == "the test input"


def lonely(photos):
    for n in range(1, 4):
        (photos / "red" / f"{n}.png").unlink()


def damaged(photos):
    for path in photos.rglob("*.png"):
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("spoil", "params", "message"),
    [
        (lonely, {}, "retrieval needs two different pictures of each label: 'red' has one"),
        (damaged, {}, "12 of 12 files cannot be read: blue/0.png: not a picture in a known format"),
        (lambda photos: None, {"neighbors": 50}, "neighbors: 50, but there are 12 pictures"),
    ],
)
def test_a_set_that_cannot_be_searched_is_told(
    run_kind, photos, backbone, tmp_path, spoil, params, message
):
    spoil(photos)

    ran = train(run_kind, tmp_path, photos, backbone, **params)

    assert (ran.kind, ran.error) == ("failure", message)


def test_a_question_of_a_label_that_the_set_has_not_is_told(run_kind, photos, backbone, tmp_path):
    picture(tmp_path / "test" / "grey" / "1.png", 1, (120, 120, 120))

    ran = train(run_kind, tmp_path, photos, backbone, inputs={"test": tmp_path / "test"})

    assert ran.error == "input 'test' has label 'grey', which 'images' has not"
