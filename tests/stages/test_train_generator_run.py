import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from mlbuild.stages._shared.text.files import from_json  # noqa: E402
from mlbuild.stages._shared.text.files import load as load_tokenizer  # noqa: E402
from mlbuild.stages._shared.text.generating import (  # noqa: E402
    TorchTeller,
    generate,
    greedy,
    read_prompt,
    sampler,
)
from mlbuild.stages._shared.text.pairs import PairTokenizer, chunks, learn_pairs  # noqa: E402
from mlbuild.stages._shared.torch_model.architectures import build  # noqa: E402

from mlbuild.coreml import load  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    # coremltools leaves temporary folders to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KIND = "train/text-generator"
QUICK = {
    "vocabulary": 280, "context": 24, "prompt_length": 6, "width": 16, "heads": 2, "layers": 2,
    "steps": 60, "batch_size": 4, "learning_rate": 0.01, "warmup_steps": 5, "samples": 3,
}  # fmt: skip
LINES = "the cat sat on the mat and the dog sat on the log\nthe end of the tale is near\n"


@pytest.fixture(scope="module")
def tale(tmp_path_factory):
    file = tmp_path_factory.mktemp("tale") / "tale.txt"
    file.write_text(LINES * 30)
    return file


@pytest.fixture(scope="module")
def trained(run_once, tale, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    ran = run_once(KIND, tmp_path=folder, inputs={"text": tale}, params=QUICK)
    assert ran.ok, ran.error
    return ran


@pytest.fixture(scope="module")
def exact(run_once, trained, tmp_path_factory):
    return convert(run_once, tmp_path_factory.mktemp("exact"), trained, precision="float32")


def convert(run_kind, tmp_path, trained, **params):
    ran = run_kind(
        "convert/coreml",
        tmp_path=tmp_path,
        inputs={"model": trained.outputs["model"]},
        params={"target": "iOS18", **params},
    )
    assert ran.ok, ran.error
    return ran


def compare(run_kind, tmp_path, trained, candidate, **params):
    return run_kind(
        "validate/generation",
        tmp_path=tmp_path,
        inputs={
            "reference": trained.outputs["model"],
            "candidate": candidate,
            "samples": trained.outputs["samples"],
        },
        params={"tokens": 12, "prompts": ["the cat sat on the"], **params},
    )


def test_a_package_of_two_functions_tells_what_torch_tells(run_kind, trained, exact, tmp_path):
    assert trained.metrics["perplexity"] < 40  # of 280 tokens, after 60 steps
    assert trained.metrics["accuracy"]["n"] > 50

    facts = exact.json("report")
    assert [f["function"] for f in facts["functions"]] == ["prompt", "step"]
    assert [f["inputs"][0]["shape"] for f in facts["functions"]] == [[1, 6], [1, 1]]
    assert [s["name"] for s in facts["states"]] == ["keys", "values"]
    assert facts["states"][0]["shape"] == [2, 2, 24, 8]

    ran = compare(run_kind, tmp_path, trained, exact.outputs["model"])
    assert ran.ok, ran.error
    assert ran.metrics["exact_greedy"]["value"] == ran.metrics["exact_sampled"]["value"] == 1.0
    assert ran.metrics["exact_greedy"]["n"] == 4
    assert ran.metrics["agreement"]["value"] == 1.0
    assert ran.metrics["psnr_db"] > 100
    assert ran.metrics["perplexity_ratio"] == pytest.approx(1, abs=1e-5)


def test_both_functions_share_their_weights_and_equal_models_are_equal_bytes(
    run_kind, trained, exact, tmp_path, tree
):
    again = convert(run_kind, tmp_path, trained, precision="float32")

    first, second = tree(exact.outputs["model"]), tree(again.outputs["model"])
    assert first == second
    weights = sum(len(v) for k, v in first.items() if k.endswith("weight.bin"))
    assert weights < 1.3e6 * trained.metrics["size_mb"]  # not twice: places are constants beside


def test_another_models_text_is_told_as_another(run_kind, exact, tale, tmp_path):
    other = run_kind(
        KIND, tmp_path=tmp_path, inputs={"text": tale}, params={**QUICK, "seed": 1, "steps": 20}
    )

    ran = compare(run_kind, tmp_path, other, exact.outputs["model"])

    assert ran.ok, ran.error
    assert ran.metrics["exact_sampled"]["value"] < 1
    assert ran.metrics["psnr_db"] < 40
    texts = ran.json("report")["texts"]
    assert any("sampled_candidate" in text for text in texts)


def test_the_swift_package_holds_tokenizer_and_generator(run_kind, trained, exact, tmp_path):
    ran = run_kind("package/swift", tmp_path=tmp_path, inputs={"model": exact.outputs["model"]})

    assert ran.ok, ran.error  # all Swift was parsed
    inside = ran.outputs["package"] / "Sources" / "Model"
    file = json.loads((inside / "Resources" / "tokenizer.json").read_text())
    assert from_json(file) == load_tokenizer(trained.outputs["tokenizer"])
    generator = (inside / "TextGenerator.swift").read_text()
    assert "static let context = 24" in generator
    assert "private static let chunk = 6" in generator
    wrapper = (inside / "ModelModel.swift").read_text()
    assert "func predict(_ input: Input, using state: MLState) throws -> Output" in wrapper
    assert "TextGenerator().goOn" in (ran.outputs["package"] / "README.md").read_text()


def test_a_target_without_functions_is_refused(run_kind, trained, tmp_path):
    ran = run_kind(
        "convert/coreml",
        tmp_path=tmp_path,
        inputs={"model": trained.outputs["model"]},
        params={"target": "iOS17"},
    )

    assert (ran.error, ran.hint) == (
        "target: iOS17 has no functions, which this model needs",
        "set target: iOS18 or macOS15",
    )


def test_a_model_without_functions_is_refused_by_the_comparison(run_kind, trained, tmp_path):
    import coremltools as ct
    from coremltools.converters import mil

    @mil.Builder.program(
        input_specs=[mil.Builder.TensorSpec(shape=(1, 2))], opset_version=ct.target.iOS18
    )
    def program(x):
        return mil.Builder.add(x=x, y=1.0)

    plain = tmp_path / "plain.mlpackage"
    ct.convert(program, skip_model_load=True, minimum_deployment_target=ct.target.iOS18).save(
        str(plain)
    )
    ran = compare(run_kind, tmp_path, trained, plain)

    assert ran.error.startswith("the candidate has no functions prompt and step: ")


def test_a_prompt_read_in_parts_is_that_read_token_by_token(exact):
    prompt, step = (load(exact.outputs["model"], function=f) for f in ("prompt", "step"))
    ids = np.arange(1, 13, dtype=np.int32)[None]
    at_once, one_by_one = prompt.make_state(), step.make_state()

    for start in (0, 6):
        given = {"ids": ids[:, start : start + 6], "position": np.array([start], np.int32)}
        last = prompt.predict(given, at_once)["logits"][0, -1]
    for start in range(12):
        given = {"ids": ids[:, start : start + 1], "position": np.array([start], np.int32)}
        single = step.predict(given, one_by_one)["logits"][0, -1]

    np.testing.assert_allclose(single, last, atol=2e-3)  # what is kept is rounded to float16


def fresh(**more):
    torch.manual_seed(0)
    given = {"vocabulary": 40, "context": 16, "width": 16, "heads": 2, "layers": 2, **more}
    return build("generator-gpt", given, 0).eval()


def test_the_cache_gives_what_the_whole_text_gives():
    net, ids = fresh(), torch.arange(16)[None] % 7
    with torch.no_grad():
        whole = net.learn(ids)[0].numpy()
        steps = [
            net(ids[:, n : n + 1].int(), torch.tensor([n], dtype=torch.int32))[0, 0].numpy()
            for n in range(16)
        ]

    np.testing.assert_allclose(np.stack(steps), whole, atol=2e-3)  # the cache is in float16


def test_what_fills_a_prompt_changes_nothing():
    net = fresh()
    teller = TorchTeller(net, chunk=5)

    padded = read_prompt(teller, [3, 4, 5, 6, 7, 8, 9])
    after = teller.read(np.array([1], np.int32), 7)[0]
    single = TorchTeller(net, chunk=1)
    plain = read_prompt(single, [3, 4, 5, 6, 7, 8, 9])
    wanted = single.read(np.array([1], np.int32), 7)[0]

    np.testing.assert_allclose(padded, plain, atol=1e-6)
    np.testing.assert_allclose(after, wanted, atol=1e-6)


def test_a_text_ends_with_the_context_or_with_the_end():
    teller = TorchTeller(fresh(), chunk=4)

    tokens, seen = generate(teller, [1, 2, 3], 100, lambda _: 5, end=39)
    assert (len(tokens), len(seen)) == (13, 13)
    assert generate(teller, [1, 2, 3], 100, lambda _: 39, end=39)[0] == [39]
    assert generate(teller, [1], 0, greedy, end=39)[0] == []


def test_sampling_follows_the_probabilities_and_its_seed():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05]))
    choose = sampler(3, 1.0, None)
    drawn = np.bincount([choose(logits) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(drawn, np.exp(logits), atol=0.03)

    only = sampler(3, 1.0, 2)
    assert {only(logits) for _ in range(200)} == {0, 1}
    one, other = sampler(8, 0.7, None), sampler(8, 0.7, None)
    assert [one(logits) for _ in range(20)] == [other(logits) for _ in range(20)]


@settings(max_examples=60, deadline=None, database=None)
@given(text=st.text(max_size=60), size=st.integers(257, 330))
def test_any_text_becomes_tokens_and_comes_back(text, size):
    tokenizer = learn_pairs(LINES + text, size)

    ids = tokenizer.encode(text)

    assert tokenizer.decode([*ids, tokenizer.end]) == text
    assert all(0 <= i < tokenizer.end for i in ids)
    assert tokenizer.size <= size
    assert "".join(chunks(text)) == text


def test_the_most_frequent_pair_is_merged_first():
    tokenizer = learn_pairs("abab abab ac", 258)

    assert tokenizer.merges == ((ord("a"), ord("b")),)
    assert tokenizer.encode("abac") == [256, ord("a"), ord("c")]
    assert PairTokenizer(()).encode("é") == [0xC3, 0xA9]


def test_a_tokenizer_can_be_given(run_kind, trained, tale, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"text": tale, "test": tale, "tokenizer": trained.outputs["tokenizer"]},
        params={**QUICK, "steps": 2, "vocabulary": 1000},
    )

    assert ran.ok, ran.error
    assert ran.metrics["vocabulary"] == 280
    first, second = (
        json.loads((r.outputs["tokenizer"] / "tokenizer.json").read_text()) for r in (trained, ran)
    )
    assert first == second


def test_too_little_text_is_told(run_kind, tmp_path):
    (tmp_path / "short.txt").write_text("a few words")
    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"text": tmp_path / "short.txt"}, params=QUICK)

    assert ran.error == "there are 11 tokens to learn, fewer than one context, 24"
    assert ran.hint == "give more text, or set a shorter context"


def test_the_same_seed_gives_the_same_bytes(run_kind, tale, tmp_path, tree):
    found = [
        run_kind(KIND, tmp_path=tmp_path, inputs={"text": tale}, params={**QUICK, "steps": 4})
        for _ in range(2)
    ]
    for output in ("model", "report", "samples", "tokenizer"):
        first, second = (tree(ran.outputs[output]) for ran in found)
        assert first == second
