import json

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

KIND = "train/drawing-classifier"
QUICK = {
    "image_size": 16,
    "channels": [8, 16],
    "epochs": 12,
    "batch_size": 4,
    "learning_rate": 0.02,
}


def strokes(seed):
    """A cross or a circle, somewhere, of some size; as points."""
    random = np.random.default_rng(seed)
    x, y, size = random.uniform(0, 500, 3) + (0, 0, 50)
    high = size * random.uniform(0.7, 1.4)
    if seed % 2:
        turn = np.linspace(0, 2 * np.pi, 20)
        return "circle", [[(x + size * np.cos(t), y + high * np.sin(t)) for t in turn]]
    return "cross", [[(x, y), (x + size, y + high)], [(x + size, y), (x, y + high)]]


def turi(seed):
    label, lines = strokes(seed)
    return {"label": label, "drawing": [[{"x": x, "y": y} for x, y in line] for line in lines]}


def quick_draw(seed):
    label, lines = strokes(seed)
    return {"word": label, "drawing": [[[p[0] for p in ln], [p[1] for p in ln]] for ln in lines]}


@pytest.fixture
def drawings(tmp_path):
    file = tmp_path / "drawings.json"
    file.write_text(json.dumps([turi(n) for n in range(24)]))
    return file


def train(run_kind, tmp_path, source, inputs=None, **params):
    return run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"drawings": source, **(inputs or {})},
        params={**QUICK, **params},
    )


def test_strokes_are_learnt_and_the_core_ml_model_reads_their_picture(run_kind, drawings, tmp_path):
    pytest.importorskip("coremltools")
    from mlbuild.stages.train.drawing_classifier.strokes import parse, render

    from mlbuild.coreml import load

    ran = train(run_kind, tmp_path, drawings)
    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["value"] == 1.0
    assert ran.metrics["accuracy"]["n"] == 4
    assert ran.metrics["drawings"] == 24

    converted = run_kind(
        "convert/coreml",
        tmp_path=tmp_path,
        inputs={"model": ran.outputs["model"]},
        params={"input_name": "drawing", "target": "iOS15"},
    )
    assert converted.ok, converted.error
    model = load(converted.outputs["model"])
    for seed in (100, 101):
        entry = turi(seed)
        picture = render(parse(entry["drawing"]), 16, 1.6, 0.07, smooth=True)
        assert model.predict({"drawing": picture})["classLabel"] == entry["label"]


def test_every_format_of_strokes_is_read_alike(run_kind, drawings, tmp_path, tree):
    lines = tmp_path / "drawings.ndjson"
    lines.write_text("".join(json.dumps(quick_draw(n)) + "\n" for n in range(24)))
    table = tmp_path / "drawings.csv"
    with table.open("w") as file:
        file.write("label,drawing\n")
        for n in range(24):
            cell = json.dumps(turi(n)["drawing"]).replace('"', '""')
            file.write(f'{turi(n)["label"]},"{cell}"\n')

    wanted, *others = (
        train(run_kind, tmp_path, source, epochs=1) for source in (drawings, lines, table)
    )

    assert wanted.ok, wanted.error
    for ran in others:
        assert ran.ok, ran.error
        assert tree(ran.outputs["model"]) == tree(wanted.outputs["model"])


def test_pictures_of_drawings_are_read_too_dark_ones_turned(run_kind, tmp_path, tree):
    from mlbuild.stages.train.drawing_classifier.strokes import parse, render

    for n in range(8):
        entry = turi(n)
        picture = render(parse(entry["drawing"]), 16, 1.6, 0.07, smooth=True)
        for folder, image in (("bright", picture), ("dark", ImageOps.invert(picture))):
            file = tmp_path / folder / entry["label"] / f"{n}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            image.save(file)

    bright = train(run_kind, tmp_path, tmp_path / "bright", epochs=1)
    dark = train(run_kind, tmp_path, tmp_path / "dark", epochs=1, dark=True)

    assert bright.ok, bright.error
    assert tree(bright.outputs["model"]) == tree(dark.outputs["model"])


def test_strokes_fill_the_square_and_keep_their_proportions():
    from mlbuild.stages.train.drawing_classifier.strokes import parse, render

    line = [[{"x": 100, "y": 40}, {"x": 500, "y": 40}]]
    array = np.asarray(render(parse(line), 28, 2.0, 0.0, smooth=False))

    rows, columns = np.nonzero(array)
    assert 12 <= rows.min() <= rows.max() <= 16  # a line across the middle
    assert columns.min() <= 1
    assert columns.max() >= 26
    dot = np.asarray(render(parse([[{"x": 7, "y": 7}]]), 28, 4.0, 0.1, smooth=True))
    assert dot[14, 14] == 255
    assert 8 <= (dot > 127).sum() <= 20


def test_learning_goes_on_from_an_earlier_model(run_kind, drawings, tmp_path):
    first = train(run_kind, tmp_path, drawings)
    params = {"epochs": 1, "learning_rate": 1e-6}
    on = train(run_kind, tmp_path, drawings, {"start": first.outputs["model"]}, **params)
    anew = train(run_kind, tmp_path, drawings, **params)

    assert on.ok, on.error
    assert on.metrics["log_loss"] == pytest.approx(first.metrics["log_loss"], rel=0.5)
    assert anew.metrics["log_loss"] > on.metrics["log_loss"]
    wrong = train(run_kind, tmp_path, drawings, {"start": first.outputs["model"]}, channels=[4, 4])
    assert wrong.error == "start: its weight stages.0.0.weight does not fit channels [4, 4]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "d.json: a list of drawings is expected"),
        ("[1]", "d.json, entry 0: an object with drawing and label is expected"),
        ('[{"label": "a"}]', "d.json, entry 0: no 'drawing'"),
        ('[{"drawing": []}]', "d.json, entry 0: no 'label'"),
        ("[", "d.json cannot be read: Expecting value: line 1 column 2 (char 1)"),
        ("[]", "d.json holds no drawings"),
        (
            '[{"label": "a", "drawing": []}]',
            "1 of 1 drawings cannot be read: d.json, entry 0: a drawing is a list of strokes",
        ),
        (
            '[{"label": "a", "drawing": [[{"x": 1}]]}]',
            "1 of 1 drawings cannot be read: d.json, entry 0: "
            "a stroke is a list of {x, y}, or a list of x and one of y",
        ),
        ('[{"label": "a", "drawing": [[[1], [1]]]}]', "there is one class only: 'a'"),
    ],
)
def test_wrong_strokes_are_told(run_kind, tmp_path, text, message):
    (tmp_path / "d.json").write_text(text)

    ran = train(run_kind, tmp_path, tmp_path / "d.json")

    assert (ran.kind, ran.error) == ("failure", message)


def test_a_label_that_was_never_learnt_is_told(run_kind, drawings, tmp_path):
    test = tmp_path / "test.json"
    test.write_text(json.dumps([{**turi(0), "label": "star"}]))

    ran = train(run_kind, tmp_path, drawings, {"test": test})

    assert ran.error == "input 'test' has label 'star', which 'drawings' has not"


def test_a_picture_that_is_none_is_left_out_and_counted(run_kind, tmp_path):
    for n in range(8):
        file = tmp_path / "pictures" / "ab"[n % 2] / f"{n}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), 30 * n, np.uint8)).save(file)
    (tmp_path / "pictures" / "a" / "words.png").write_text("none")

    ran = train(run_kind, tmp_path, tmp_path / "pictures", epochs=1)

    assert ran.ok, ran.error
    assert (ran.metrics["drawings"], ran.metrics["unreadable"]) == (8, 1)
