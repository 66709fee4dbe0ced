import pytest

from tests.built_in import kind_of as kind

pydantic = pytest.importorskip("pydantic")


@pytest.mark.parametrize(
    ("folder", "given", "complaint"),
    [
        ("sound_classifier", {"hop_seconds": 0.05}, "hop_seconds: a hop longer than frame_seconds"),
        ("sound_classifier", {"window_seconds": 0.02}, "frame_seconds: must be shorter"),
        (
            "sound_classifier",
            {"high_hz": 9000.0, "sample_rate": 16000},
            "high_hz: 16000 samples a second reach half of it",
        ),
        ("sound_classifier", {"group_pattern": "a(b"}, "no regular expression: "),
        (
            "sound_classifier",
            {"group_pattern": "ab"},
            "it needs one pair of parentheses, it has 0",
        ),
        ("sound_classifier", {"channels": [0]}, "channels: each must be 1 to 2048"),
        ("activity_classifier", {"kernel": 4}, "kernel: must be odd"),
        (
            "activity_classifier",
            {"label_column": "a", "session_column": "a"},
            "session_column: is the same as label_column",
        ),
        (
            "activity_classifier",
            {"columns": ["x", "label"]},
            "columns: label and session are not read by the model",
        ),
        (
            "activity_classifier",
            {"refit": False, "evaluate": "kfold"},
            "refit: k folds leave k networks; the last one needs refit: true",
        ),
        ("tabular", {"target": "a", "exclude": ["a"]}, "target: 'a' is also among columns or"),
        ("tabular", {"columns": ["a"], "exclude": ["a"]}, "exclude: 'a' is among columns"),
        ("tabular", {"task": "classification", "loss": "huber"}, "loss: is for regression"),
        ("tabular", {"layers": [5000]}, "layers: each must be 1 to 4096"),
        ("text_classifier", {"labels": {"a": ["a"]}}, "labels: a classifier needs at least two"),
        (
            "text_classifier",
            {"architecture": "convolution"},
            "ngrams: convolutions find runs of words themselves: set ngrams: 1",
        ),
        ("text_classifier", {"kernels": [2]}, "kernels: each must be odd"),
        (
            "text_classifier",
            {"label_column": "text"},
            "text_column: is the same as label_column",
        ),
        ("text_generator", {"width": 100, "heads": 3}, "heads: 3 cannot share a width of 100"),
        ("text_generator", {"context": 16}, "prompt_length: is longer than context"),
    ],
)
def test_what_does_not_fit_is_found_before_anything_runs(folder, given, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint):
        kind(f"train/{folder}").params(**given)


def test_an_empty_prompt_is_refused():
    with pytest.raises(pydantic.ValidationError, match="prompts: one is empty"):
        kind("validate/generation").params(prompts=["a", ""])
