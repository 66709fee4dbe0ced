"""What changed between two releases, and what that means."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from mlbuild.records import Digest, StageOutput, StageRecord
from mlbuild.release.change import compare
from mlbuild.release.facts import Change, ReleasedArtifact, ReleaseFacts, StageFacts
from mlbuild.release.history import Past, PastArtifact, PastStage
from mlbuild.release.interface import interface_of
from mlbuild.release.tags import card_digest
from mlbuild.released import Tagged
from tests.release.facts_of import facts_of

TAGGED = Tagged("dogs", "1.0.0", "dogs@v1.0.0", "1" * 40)


def with_parts(facts: ReleaseFacts) -> ReleaseFacts:
    """Stages as the engine gathers them: what they read stands in the parts of their keys too."""

    def keyed(item: Any) -> Any:
        return [[{}, one["md5"]] for one in item] if isinstance(item, list) else item["md5"]

    def completed(stage: StageFacts) -> StageFacts:
        read = {role: keyed(item) for role, item in stage.inputs.items()}
        return replace(stage, parts={**stage.parts, "inputs": read})

    model = {**(facts.artifacts[0].model or {}), "content": "c1"}
    artifacts = (replace(facts.artifacts[0], model=model), *facts.artifacts[1:])
    return replace(facts, stages=tuple(map(completed, facts.stages)), artifacts=artifacts)


FACTS = with_parts(facts_of())


def past_of(facts: ReleaseFacts) -> Past:
    """The release before, if it was made of exactly these facts."""
    stages = {
        s.name: PastStage(
            StageRecord(s.key, s.parts, {n: Digest(o["md5"]) for n, o in s.outputs.items()}),
            {n: o["path"] for n, o in s.outputs.items()},
            s.metrics,
        )
        for s in facts.stages
    }
    artifacts = {
        a.name: PastArtifact(
            a.type,
            StageOutput(a.stage, a.output),
            a.md5,
            a.size,
            interface_of(a.model) if a.model else None,
        )
        for a in facts.artifacts
    }
    return Past(TAGGED, stages, artifacts, card_digest(facts.card))


def staged(facts: ReleaseFacts, name: str, **changes: Any) -> ReleaseFacts:
    stages = tuple(replace(s, **changes) if s.name == name else s for s in facts.stages)
    return replace(facts, stages=stages)


def with_part(facts: ReleaseFacts, name: str, part: str, value: Any) -> ReleaseFacts:
    stage = next(s for s in facts.stages if s.name == name)
    return staged(facts, name, parts={**stage.parts, part: value})


def remade(facts: ReleaseFacts, name: str, **model: Any) -> ReleaseFacts:
    """The artifact with other bytes, and other things to tell of its model."""

    def other(artifact: ReleasedArtifact) -> ReleasedArtifact:
        if artifact.name != name:
            return artifact
        told = {**artifact.model, **model} if artifact.model else None
        return replace(artifact, md5="f" * 32, size=artifact.size + 1, model=told)

    return replace(facts, artifacts=tuple(map(other, facts.artifacts)))


def changed(facts: ReleaseFacts) -> Change:
    return compare(past_of(FACTS), facts)


def feature(name: str, kind: str) -> Mapping[str, str]:
    return {"name": name, "kind": "multiArray", "type": kind}


IMAGE = {**(FACTS.artifacts[0].model or {})["inputs"][0]}


def test_equal_releases_do_not_differ() -> None:
    assert changed(FACTS) == Change("none", ("nothing changed",))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"inputs": []}, "input 'image' went"),
        (
            {"inputs": [IMAGE, feature("scale", "Float32 [1]")]},
            "input 'scale' came: Float32 [1]",
        ),
        (
            {"inputs": [{**IMAGE, "width": 299, "type": "image 299 x 224 RGB"}]},
            "input 'image' is image 299 x 224 RGB, before image 224 x 224 RGB",
        ),
        (
            {"inputs": [{**IMAGE, "optional": True}]},
            "input 'image' is image 224 x 224 RGB, optional, before image 224 x 224 RGB",
        ),
        ({"outputs": []}, "output 'classLabel' went"),
        ({"class_labels": ["beagle", "boxer"]}, "the labels changed: 4 went"),
        (
            {"class_labels": ["pug", "beagle", "boxer", "chow", "collie", "saluki"]},
            "the labels stand in another order",
        ),
        (
            {"spec_version": 9, "target": "iOS18"},
            "it needs iOS18 (specification version 9), before iOS17 (specification version 8)",
        ),
    ],
)
def test_an_interface_that_changed_is_major(model: dict[str, Any], why: str) -> None:
    found = changed(remade(FACTS, "model", content="c2", **model))
    assert found.level == "major"
    assert why in found.why
    assert why in found.interface


def test_labels_that_came_and_went_are_told_sorted() -> None:
    labels = ["whippet", "akita", *FACTS.artifacts[0].model["class_labels"][1:]]  # type: ignore[index]
    found = changed(remade(FACTS, "model", content="c2", class_labels=labels))
    assert found.labels_added == ("akita", "whippet")
    assert found.labels_removed == ("beagle",)
    assert found.why[0] == "the labels changed: 2 came, 1 went"


def test_a_lower_target_is_told_and_breaks_nothing() -> None:
    found = changed(remade(FACTS, "model", content="c2", spec_version=7, target="iOS16"))
    assert found.level == "minor"
    assert found.interface == (
        "it needs iOS16 (specification version 7), before iOS17 (specification version 8)",
    )


def test_an_artifact_that_went_is_major() -> None:
    found = changed(replace(FACTS, artifacts=FACTS.artifacts[:1]))
    assert (found.level, found.why) == ("major", ("artifact 'package' went",))


def test_an_artifact_of_another_type_is_major() -> None:
    package = replace(FACTS.artifacts[1], type="Archive", md5="f" * 32)
    found = changed(replace(FACTS, artifacts=(FACTS.artifacts[0], package)))
    assert (found.level, found.why) == (
        "major",
        ("artifact 'package' is Archive, before SwiftPackage",),
    )


def test_an_artifact_that_came_is_minor() -> None:
    bundle = replace(FACTS.artifacts[1], name="bundle")
    found = changed(replace(FACTS, artifacts=(*FACTS.artifacts, bundle)))
    assert (found.level, found.why) == ("minor", ("artifact 'bundle' came",))


def test_other_weights_are_minor_and_name_the_parameters() -> None:
    facts = remade(FACTS, "model", content="c2")
    facts = with_part(facts, "train", "params", {"epochs": 20, "seed": 7, "freeze": True})
    found = changed(facts)
    assert found.level == "minor"
    assert found.why == (
        "'model' answers with other weights or operators",
        "train.backbone is not set, before efficientnet-lite0",
        "train.epochs is 20, before 12",
        "train.freeze is true, before not set",
    )
    size = FACTS.artifacts[0].size
    assert found.sizes == ({"artifact": "model", "before": size, "after": size + 1},)


def test_other_data_is_minor_even_where_the_model_came_out_the_same() -> None:
    stage = next(s for s in FACTS.stages if s.name == "split")
    inputs = {"data": {**stage.inputs["data"], "md5": "a" * 32}}
    facts = staged(
        FACTS, "split", inputs=inputs, parts={**stage.parts, "inputs": {"data": "a" * 32}}
    )
    found = changed(facts)
    assert (found.level, found.why) == ("minor", ("data changed: photos",))
    assert found.data[0]["name"] == "photos"
    assert found.data[0]["after"] == "a" * 32


def test_metadata_alone_is_a_patch_whatever_parameter_made_it() -> None:
    facts = remade(FACTS, "model", metadata={"author": "Bo"})
    facts = with_part(
        facts, "convert", "params", {"precision": "float16", "target": "iOS17", "author": "Bo"}
    )
    found = changed(facts)
    assert (found.level, found.why) == (
        "patch",
        ("only the metadata of 'model' changed", "convert.author is Bo, before not set"),
    )


def test_another_packaging_is_a_patch() -> None:
    facts = with_part(remade(FACTS, "package"), "package", "params", {"name": "Hounds"})
    found = changed(facts)
    assert (found.level, found.why) == (
        "patch",
        ("'package' is packed differently", "package.name is Hounds, before not set"),
    )


def test_a_package_of_something_else_is_minor() -> None:
    only = replace(FACTS, artifacts=FACTS.artifacts[1:])
    stage = next(s for s in FACTS.stages if s.name == "package")
    facts = with_part(remade(only, "package"), "package", "inputs", {"model": "b" * 32})
    found = compare(past_of(only), facts)
    assert stage.kind == "package/swift"
    assert (found.level, found.why) == ("minor", ("what 'package' packs changed",))


def test_raised_oldest_systems_of_a_package_are_major() -> None:
    facts = with_part(remade(FACTS, "package"), "package", "params", {"platforms": {"iOS": "18.0"}})
    found = changed(facts)
    assert found.level == "major"
    assert found.why == (
        'the oldest systems are raised: package.platforms is {"iOS": "18.0"}, before not set',
    )


def test_texts_of_the_card_are_a_patch() -> None:
    found = changed(replace(FACTS, card={**FACTS.card, "limits": "None known."}))
    assert (found.level, found.why) == ("patch", ("the texts of the model card changed",))


def test_other_figures_are_a_patch() -> None:
    found = changed(staged(FACTS, "accuracy", metrics={"accuracy": 0.5}))
    assert (found.level, found.why) == ("patch", ("recorded metrics changed",))
    rows = {row["metric"]: row for row in found.metrics}
    assert rows["accuracy"]["after"] == 0.5
    assert rows["log_loss"]["after"] is None


def test_code_and_toolchains_that_changed_without_effect_are_told_and_are_no_release() -> None:
    facts = with_part(with_part(FACTS, "train", "code", "c9"), "train", "toolchain", "t9")
    found = changed(facts)
    assert found.level == "none"
    assert found.code == (
        {"name": "train", "before": FACTS.stages[1].parts["code"], "after": "c9"},
    )
    assert found.toolchains[0]["name"] == "torch"


def test_a_model_whose_old_interface_is_not_known_may_have_changed_it() -> None:
    before = past_of(FACTS)
    artifacts = {**before.artifacts, "model": replace(before.artifacts["model"], model=None)}
    found = compare(replace(before, artifacts=artifacts), remade(FACTS, "model", content="c2"))
    assert (found.level, found.why) == (
        "major",
        ("the interface of 'model' in dogs@v1.0.0 is not known: it may have changed",),
    )
