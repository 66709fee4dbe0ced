"""Non-maximum suppression, by pictures that can be judged by eye."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

# Boxes are (x, y, width, height) around their middle. 0 and 1 share 9 of 11 units (IoU 0.82), 2
# stands alone, 3 and 2 share 5 of 15 (IoU 1/3).
BOXES = np.array([[5, 1, 10, 1], [6, 1, 10, 1], [50, 50, 10, 1], [55, 50, 10, 1]], np.float32)[None]
SCORES = np.array([[0.5, 0.1], [0.9, 0.2], [0.3, 0.8], [0.7, 0.1]], np.float32)[None]


def suppress(save_program, opset="iOS15", scores=SCORES, **options):
    from mlbuild.coreml import load

    inputs = {"boxes": BOXES, "scores": scores}
    if opset != "iOS15":
        inputs = {name: np.ascontiguousarray(v.transpose(0, 2, 1)) for name, v in inputs.items()}
    path = save_program(
        lambda mb, boxes, scores: mb.non_maximum_suppression(
            boxes=boxes, scores=scores, name="kept", **options
        ),
        inputs,
        opset,
    )
    return list(load(path).predict(inputs).values())


CASES = [
    ("overlaps beyond the threshold fall, best first", 0.5, 0.0, False, [1, 2, 3]),
    ("a lower threshold takes the third part too", 0.3, 0.0, False, [1, 2]),
    ("other classes do not compete", 0.3, 0.0, True, [1, 2, 3]),
    ("low scores are left out", 0.5, 0.75, False, [1, 2]),
    ("where none is good enough the best one stays", 0.5, 2.0, False, [1]),
]


@pytest.mark.parametrize("what, iou, score, by_class, expected", CASES, ids=[c[0] for c in CASES])
def test_suppression_of_ios15(save_program, what, iou, score, by_class, expected):
    boxes, scores, indices, number = suppress(
        save_program, iou_threshold=iou, score_threshold=score, max_boxes=4,
        per_class_suppression=by_class,
    )  # fmt: skip
    free = 4 - len(expected)
    assert indices.tolist() == [expected + [-1] * free]
    assert number.tolist() == [len(expected)]
    np.testing.assert_array_equal(boxes[0], [*BOXES[0, expected], *np.zeros((free, 4))])
    np.testing.assert_array_equal(scores[0], [*SCORES[0, expected], *np.zeros((free, 2))])


def test_suppression_of_ios17_has_boxes_last_no_threshold_and_no_number(save_program):
    boxes, scores, indices = suppress(
        save_program, "iOS17", iou_threshold=0.5, max_boxes=2, per_class_suppression=False
    )
    assert indices.tolist() == [[1, 2]]
    np.testing.assert_array_equal(boxes[0], BOXES[0, [1, 2]].T)
    np.testing.assert_array_equal(scores[0], SCORES[0, [1, 2]].T)


def test_boxes_without_area_overlap_nothing(save_program):
    from mlbuild.coreml import load

    inputs = {"boxes": np.zeros((1, 3, 4), np.float32), "scores": np.ones((1, 3, 1), np.float32)}
    path = save_program(
        lambda mb, boxes, scores: mb.non_maximum_suppression(
            boxes=boxes, scores=scores, iou_threshold=0.0, score_threshold=0.5, max_boxes=3
        ),
        inputs,
    )
    *_, indices, number = load(path).predict(inputs).values()
    assert (indices.tolist(), number.tolist()) == ([[0, 1, 2]], [3])


def plain(boxes, scores, limit, lowest, count, by_class):
    """The definition, box by box."""
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    area, best, classes = boxes[:, 2:].prod(1), scores.max(1), scores.argmax(1)

    def crowded(i, j):
        inside = np.clip(np.minimum(high[i], high[j]) - np.maximum(low[i], low[j]), 0, None).prod()
        same = not by_class or classes[i] == classes[j]
        return same and inside / (area[i] + area[j] - inside) > limit

    chosen = []
    for i in np.argsort(-best):
        if best[i] < lowest or len(chosen) == count:
            break
        if not any(crowded(i, j) for j in chosen):
            chosen.append(int(i))
    return chosen


@pytest.mark.parametrize("by_class, count", [(True, 40), (False, 30)])
def test_suppression_of_random_boxes_is_the_plain_definitions(save_program, by_class, count):
    from mlbuild.coreml import load

    inputs = {"boxes": np.zeros((1, 60, 4), np.float32), "scores": np.zeros((1, 60, 3), np.float32)}
    path = save_program(
        lambda mb, boxes, scores: mb.non_maximum_suppression(
            boxes=boxes, scores=scores, iou_threshold=0.3, score_threshold=0.4, max_boxes=count,
            per_class_suppression=by_class,
        ),
        inputs,
    )  # fmt: skip
    model = load(path)
    lengths = set()
    for seed in range(20):
        random = np.random.default_rng(seed)
        boxes = random.uniform(1, [20, 20, 16, 16], (60, 4)).astype(np.float32)
        scores = random.uniform(0, 1, (60, 3)).astype(np.float32)
        *_, indices, number = model.predict({"boxes": boxes[None], "scores": scores[None]}).values()
        expected = plain(boxes, scores, 0.3, 0.4, count, by_class)
        assert indices[0, : number.item()].tolist() == expected
        lengths.add(len(expected))
    assert len(lengths) > 1  # neither always cut off nor always alike
