"""COCO's figures against cases that were worked out by hand, and against a direct definition."""

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from mlbuild.stages._shared.detection.average_precision import (  # noqa: E402
    THRESHOLDS,
    Found,
    Truth,
    average_precision,
    score,
)
from mlbuild.stages._shared.detection.suppression import overlaps, suppress  # noqa: E402

pytestmark = pytest.mark.toolchain


def found(*rows):
    """Rows of class, confidence and box."""
    classes, confidences, boxes = zip(*rows, strict=True) if rows else ((), (), ())
    return Found(np.array(classes), np.array(confidences), np.array(boxes).reshape(-1, 4))


def truth(*rows):
    classes, boxes = zip(*rows, strict=True) if rows else ((), ())
    return Truth(np.array(classes), np.array(boxes, dtype=float).reshape(-1, 4))


@pytest.mark.parametrize(
    ("right", "total", "expected"),
    [
        ([True], 1, 1.0),
        ([False], 1, 0.0),
        ([], 1, 0.0),
        ([True], 2, 51 / 101),  # recalls 0 to 0.5 are reached, with precision 1
        ([False, True], 1, 0.5),
        # recall 1/2 at precision 1, recall 1 at precision 2/3
        ([True, False, True], 2, (51 * 1 + 50 * 2 / 3) / 101),
        # the dip to 1/2 is filled by the 2/3 behind it
        ([True, False, True, False], 2, (51 * 1 + 50 * 2 / 3) / 101),
        ([True, True, False], 3, 67 / 101),  # up to 2/3: recalls 0, 0.01, ..., 0.66
    ],
)
def test_average_precision_of_hand_made_cases(right, total, expected):
    assert average_precision(np.array(right, dtype=bool), total) == pytest.approx(expected)


def test_a_box_taken_once_is_not_taken_again():
    box = (0.5, 0.5, 0.2, 0.2)
    scores = score([found((0, 0.9, box), (0, 0.8, box))], [truth((0, box))], ["a"])

    assert scores.at(0.5) == 1.0  # the second, wrong one comes after full recall
    assert scores.shares(0.5) == {"recall": (1, 1), "precision": (1, 2)}


def test_the_surer_box_takes_the_object_even_if_it_fits_less():
    real = (0.5, 0.5, 0.4, 0.4)
    loose = (0.5, 0.5, 0.4, 0.25)  # overlap 0.625
    scores = score([found((0, 0.9, loose), (0, 0.5, real))], [truth((0, real))], ["a"])

    by_threshold = dict(zip(THRESHOLDS, scores.by_class["a"], strict=True))
    assert by_threshold[0.6] == 1.0
    assert by_threshold[0.65] == 0.5  # now the first is wrong and the second right
    assert scores.map == pytest.approx((3 * 1.0 + 7 * 0.5) / 10)


def test_classes_and_pictures_are_kept_apart():
    box, other = (0.3, 0.3, 0.2, 0.2), (0.7, 0.7, 0.2, 0.2)
    said = [found((1, 0.9, box)), found((0, 0.6, other))]
    real = [truth((0, box)), truth((0, other), (1, box))]
    scores = score(said, real, ["a", "b", "never"])

    # a: one of two found, nothing wrong. b: its only box is in the wrong picture.
    assert scores.by_class["a"][0] == pytest.approx(51 / 101)
    assert scores.by_class["b"][0] == 0.0
    assert "never" not in scores.by_class  # no object, no figure
    assert scores.at(0.5) == pytest.approx(51 / 202)


def test_the_interval_holds_the_figure_and_narrows_with_pictures():
    box = (0.5, 0.5, 0.2, 0.2)
    said, real = [], []
    for n in range(40):
        said.append(found((0, 0.9 - n / 100, box if n % 4 else (0.1, 0.1, 0.1, 0.1))))
        real.append(truth((0, box)))

    few, many = score(said[:8], real[:8], ["a"]), score(said, real, ["a"])
    for scores in (few, many):
        low, high = scores.interval(200, seed=1)
        assert low <= scores.at(0.5) <= high
    widths = [np.diff(s.interval(200, seed=1))[0] for s in (few, many)]
    assert widths[1] < widths[0]


def test_overlaps_are_shares_of_the_union():
    boxes = np.array([[0.5, 0.5, 1.0, 1.0]])
    others = np.array([[0.5, 0.5, 0.5, 0.5], [1.0, 0.5, 1.0, 1.0], [3, 3, 1, 1], [0.5, 0.5, 0, 0]])

    assert overlaps(boxes, others)[0] == pytest.approx([0.25, 1 / 3, 0, 0])


def test_suppression_is_core_mls_own():
    """Against the reference runtime's model of the same name."""
    from mlbuild.coreml.classical.kinds.non_maximum_suppression import _keep

    random = np.random.default_rng(0)
    for _ in range(50):
        confidences = random.random((30, 3))
        boxes = np.concatenate([random.random((30, 2)), 0.1 + 0.4 * random.random((30, 2))], 1)
        per_class = bool(random.integers(2))
        ours = suppress(confidences, boxes, 0.4, 0.3, per_class=per_class, most=12)
        assert ours.tolist() == _keep(confidences, boxes, 0.4, 0.3, per_class, 12).tolist()


def noisy_set(seed):
    """25 pictures of three classes, found with some luck."""
    random = np.random.default_rng(seed)
    real, said = [], []

    def boxes(count):
        return np.concatenate(
            [random.uniform(0.2, 0.8, (count, 2)), random.uniform(0.1, 0.4, (count, 2))], 1
        )

    for _ in range(25):
        known = Truth(random.integers(0, 3, 4), boxes(4))
        near = known.boxes[random.integers(0, 4, 5)]
        near = near + random.normal(0, 0.06, near.shape) * near[:, [2, 3, 2, 3]]
        classes = np.where(random.random(7) < 0.8, known.classes[0], random.integers(0, 3, 7))
        said.append(Found(classes, random.random(7), np.concatenate([near, boxes(2)])))
        real.append(known)
    return said, real


# What pycocotools 2.0's COCOeval says of the same boxes, to the last digit that it shows.
COCOEVAL = {
    0: (0.09394305918118519, 0.1502934768838707, 0.10304812608556461),
    1: (0.0882115812950917, 0.13410642332479186, 0.09788533946581401),
    2: (0.09062791328179852, 0.1555023475215432, 0.09673712422511846),
}


@pytest.mark.parametrize("seed", sorted(COCOEVAL))
def test_the_figures_are_those_of_coco_s_own_evaluation(seed):
    scores = score(*noisy_set(seed), ["a", "b", "c"])

    figures = (scores.map, scores.at(0.5), scores.at(0.75))
    assert figures == pytest.approx(COCOEVAL[seed], abs=1e-12)
