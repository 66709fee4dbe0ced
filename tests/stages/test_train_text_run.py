import json

import numpy as np
import pytest

pytest.importorskip("torch")
from mlbuild.stages._shared.text.files import from_json, load
from mlbuild.stages._shared.text.words import learn_words, words

pytestmark = pytest.mark.toolchain

KIND = "train/text-classifier"
QUICK = {
    "length": 16, "width": 8, "vocabulary": 100, "min_count": 2, "epochs": 12, "batch_size": 8,
    "learning_rate": 0.05, "samples": 6, "word_dropout": 0.0,
}  # fmt: skip
GOOD, BAD = ["bright", "warm", "lovely", "fine"], ["dull", "cold", "dreadful", "poor"]


def sentence(mood, seed):
    random = np.random.default_rng(seed)
    told = [*random.choice(GOOD if mood == "fresh" else BAD, 3), *random.choice(list("abcdef"), 4)]
    return " ".join(random.permutation(told)) + "!"


@pytest.fixture
def reviews(tmp_path):
    rows = ["mood,text"]
    rows += [f'{m},"{sentence(m, 2 * n + (m == "fresh"))}"' for n in range(20) for m in KINDS]
    (tmp_path / "reviews.csv").write_text("\n".join(rows))
    return tmp_path / "reviews.csv"


KINDS = ("fresh", "rotten")


def train(run_kind, tmp_path, source, **params):
    given = {**QUICK, "label_column": "mood", **params}
    return run_kind(KIND, tmp_path=tmp_path, inputs={"texts": source}, params=given)


@pytest.mark.parametrize(
    "shape",
    [{"ngrams": 2}, {"architecture": "convolution", "ngrams": 1, "kernels": [1, 3], "filters": 8}],
    ids=["average", "convolution"],
)
def test_it_learns_and_its_package_answers_alike(run_kind, reviews, tmp_path, shape):
    trained = train(run_kind, tmp_path, reviews, **shape)

    assert trained.ok, trained.error
    assert trained.metrics["accuracy"]["value"] == 1.0
    assert trained.metrics["accuracy"]["n"] == 8
    assert trained.metrics["texts"] == 40

    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": trained.outputs["model"]}
    )
    assert converted.ok, converted.error
    assert converted.json("report")["inputs"] == [
        {"name": "ids", "type": "multiArray", "shape": [16], "dtype": "INT32"}
    ]
    compared = run_kind(
        "validate/parity",
        tmp_path=tmp_path,
        inputs={
            "reference": trained.outputs["model"],
            "candidate": converted.outputs["model"],
            "samples": trained.outputs["samples"],
        },
    )
    assert compared.ok, compared.error
    assert compared.metrics["psnr_db"] > 50
    assert compared.metrics["agreement_top1"]["value"] == 1.0


def test_the_tokenizer_travels_with_the_model_into_the_swift_package(run_kind, reviews, tmp_path):
    from mlbuild.coreml import load as load_coreml

    trained = train(run_kind, tmp_path, reviews, epochs=1)
    tokenizer = load(trained.outputs["tokenizer"])
    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": trained.outputs["model"]}
    )
    model = load_coreml(converted.outputs["model"])
    metadata = model.description.metadata["user_defined"]["mlbuild.model"]

    assert from_json(json.loads(metadata)["facts"]["tokenizer"]) == tokenizer
    ids = np.array(tokenizer.encode("A lovely, WARM day"), np.int32)
    assert set(model.predict({"ids": ids})["classLabel_probs"]) == set(KINDS)

    packed = run_kind(
        "package/swift", tmp_path=tmp_path, inputs={"model": converted.outputs["model"]}
    )
    assert packed.ok, packed.error  # all Swift was parsed
    inside = packed.outputs["package"] / "Sources" / "Model"
    file = json.loads((inside / "Resources" / "tokenizer.json").read_text())
    assert from_json(file) == tokenizer
    code = (inside / "Tokenizer.swift").read_text()
    assert "func classify(_ text: String, with tokenizer: Tokenizer) throws -> [Score]" in code
    assert (
        '.copy("Resources/tokenizer.json")'
        in (packed.outputs["package"] / "Package.swift").read_text()
    )


# coremltools leaves temporary folders to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_quantized_embedding_is_found_again(run_kind, reviews, tmp_path):
    trained = train(run_kind, tmp_path, reviews, epochs=1, width=32)
    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": trained.outputs["model"]}
    )
    quantized = run_kind(
        "quantize/linear",
        tmp_path=tmp_path,
        inputs={"model": converted.outputs["model"]},
        params={"weight_threshold": 64},
    )

    # coremltools narrows the indices of a gather once more, and renames it.
    assert quantized.ok, quantized.error
    assert quantized.metrics["compressed"] >= 1


def test_folders_of_files_and_json_are_read_under_patterns(run_kind, tmp_path):
    for n in range(6):
        for mood, folder in (("fresh", f"ham-{n % 2}"), ("rotten", "spam-1")):
            file = tmp_path / "mail" / folder / (f"{n}.json" if n % 2 else f"{n}.eml")
            file.parent.mkdir(parents=True, exist_ok=True)
            text = sentence(mood, 2 * n + (mood == "fresh"))
            file.write_text(json.dumps({"text": text}) if n % 2 else text)
    (tmp_path / "mail" / "ham-0" / "notes.md").write_text("left out too")
    (tmp_path / "mail" / "other").mkdir()
    (tmp_path / "mail" / "other" / "x.txt").write_text("left out")

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"texts": tmp_path / "mail"},
        params={
            **QUICK,
            "labels": {"ham": ["ham-*"], "spam": ["spam-1"]},
            "files": "*[!d]",
            "epochs": 1,
        },
    )

    assert ran.ok, ran.error
    assert ran.metrics["texts"] == 12
    assert ran.json("report")["labels"] == ["ham", "spam"]


def test_words_are_runs_of_letters_and_digits_in_lower_case():
    assert words("Don't PANIC_42, naïve Œuvre!\n") == [
        "don", "t", "panic", "42", "naïve", "œuvre",
    ]  # fmt: skip


def test_runs_follow_their_first_word_and_what_is_unknown_is_1():
    tokenizer = learn_words(["to be or", "to be", "be or"], ngrams=2, least=2, most=9, length=8)

    # in most texts first, then by name: be, be or, or, to, to be
    assert tokenizer.vocabulary == ("be", "be or", "or", "to", "to be")
    assert tokenizer.encode("To be, or not") == [5, 6, 2, 3, 4, 1, 0, 0]
    assert len(tokenizer.encode("be " * 20)) == 8


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"text_column": "review"}, "reviews.csv has no column 'review'"),
        ({"min_count": 1000}, "no word occurs in 1000 texts"),
        (
            {"labels": {"a": ["x*"], "b": ["y*"]}},
            "texts: reviews.csv holds no texts of the labels fresh, rotten",
        ),
        (
            {"labels": {"fresh": ["fresh"], "other": ["other"]}},
            "a classifier needs at least two labels, got 1: fresh",
        ),
    ],
)
def test_what_cannot_be_is_told(run_kind, reviews, tmp_path, params, message):
    ran = train(run_kind, tmp_path, reviews, **params)

    assert ran.kind == "failure"
    assert ran.error == message


def test_a_json_file_without_the_text_is_told(run_kind, tmp_path):
    (tmp_path / "mail" / "ham").mkdir(parents=True)
    (tmp_path / "mail" / "ham" / "1.json").write_text('{"body": "hello"}')
    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"texts": tmp_path / "mail"}, params=QUICK)

    assert (ran.error, ran.hint) == (
        "ham/1.json has no text 'text'",
        "say which it is: text_column: ...",
    )


def test_the_same_seed_gives_the_same_bytes(run_kind, reviews, tmp_path, tree):
    found = [train(run_kind, tmp_path, reviews, epochs=2, word_dropout=0.2) for _ in range(2)]
    for output in ("model", "report", "samples", "tokenizer"):
        first, second = (tree(ran.outputs[output]) for ran in found)
        assert first == second
