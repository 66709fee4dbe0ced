"""What a right pipeline file means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.pipeline.matrix import included, join, without
from mlbuild.pipeline.naming import camel_case, slug
from mlbuild.records import (
    DatasetRef,
    Gate,
    Input,
    Output,
    PathRef,
    Resources,
    StageOutput,
)

NET = """
stages:
  train:
    uses: make/net
    inputs: {images: ./data}
  convert:
    uses: to/coreml
    inputs: {model: train.model}
  small:
    uses: shrink/weights
    matrix: {bits: [4, 6, 8]}
    inputs: {model: convert.model}
    with: {bits: "${{ matrix.bits }}"}
"""


@pytest.fixture(autouse=True)
def data(project) -> None:
    project.put("data/a.txt")


def test_a_stage_of_a_kind_is_settled_in_full(project) -> None:
    train = project.stages(NET)["train"]
    assert (train.base, train.axes, train.kind, train.toolchain) == (
        "train",
        (),
        "make/net",
        "torch",
    )
    assert train.params == {"epochs": 3, "rate": 0.1, "layers": [8, 8]}
    assert train.inputs == (Input("images", (PathRef("data"),)),)
    assert train.outputs == (
        Output("model", "build/dogs/train/model", "TorchModel"),
        Output("metrics", "build/dogs/train/metrics.json", "Report", False, "metrics"),
        Output("plots", "build/dogs/train/plots", "Folder", True, "plots"),
    )
    assert str(train.place) == "p.yaml:5:3"


def test_a_matrix_makes_one_variant_for_each_value(project) -> None:
    stages = project.stages(NET)
    assert list(stages) == ["train", "convert", "small[bits=4]", "small[bits=6]", "small[bits=8]"]
    small = stages["small[bits=4]"]
    assert small.axes == (("bits", 4),)
    assert small.params["bits"] == 4
    assert small.output("model").path == "build/dogs/small-bits=4/Dogs.mlpackage"


def test_a_stage_that_names_a_matrix_stage_is_expanded_with_it(project) -> None:
    stages = project.stages(
        NET
        + """
  again:
    uses: shrink/weights
    inputs: {model: small.model}
  best:
    uses: pick/best
    inputs: {models: {all: again.model}, notes: "again[bits=6].metrics"}
    with: {by: size_mb}
"""
    )
    assert stages["again[bits=6]"].inputs == (
        Input("model", (StageOutput("small[bits=6]", "model"),)),
    )
    models, notes = stages["best"].inputs
    assert models.many
    assert models.sources == tuple(StageOutput(f"again[bits={b}]", "model") for b in (4, 6, 8))
    assert models.axes == tuple((("bits", b),) for b in (4, 6, 8))
    assert notes.sources == (StageOutput("again[bits=6]", "metrics"),)
    assert stages["best"].axes == ()


def test_shared_axes_pair_and_different_axes_multiply(project) -> None:
    stages = project.stages(
        """
        stages:
          a: {run: a, matrix: {x: [1, 2]}, outputs: {o: "out/a${{ matrix.x }}"}}
          b:
            run: b
            matrix: {x: [1, 2], y: [u, v]}
            outputs: {o: "out/b${{ matrix.x }}${{ matrix.y }}"}
          c:
            run: c
            matrix: {z: [true]}
            inputs: {a: a.o, b: b.o}
            outputs: {o: "out/c${{ matrix.x }}${{ matrix.y }}${{ matrix.z }}"}
        """
    )
    c = {name: stage for name, stage in stages.items() if stage.base == "c"}
    assert list(c) == [f"c[x={x},y={y},z=true]" for x in (1, 2) for y in "uv"]
    assert [i.sources[0].stage for i in c["c[x=2,y=v,z=true]"].inputs] == ["a[x=2]", "b[x=2,y=v]"]
    assert c["c[x=2,y=v,z=true]"].outputs[0].path == "out/c2vtrue"


def test_include_and_exclude_are_those_of_github_actions() -> None:
    # The worked example of GitHub's documentation on include, without the excluded pair.
    axes = {"fruit": ["apple", "pear"], "animal": ["cat", "dog"]}
    combos = [{"fruit": f, "animal": a} for f in axes["fruit"] for a in axes["animal"]]
    combos = without(combos, [{"fruit": "pear", "animal": "dog"}])
    extra = [
        {"color": "green"},
        {"color": "pink", "animal": "cat"},
        {"fruit": "apple", "shape": "circle"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    assert included(combos, axes, extra) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


def test_include_may_bring_lists_and_maps_that_name_nothing(project) -> None:
    stages = project.stages(
        NET.replace(
            "matrix: {bits: [4, 6, 8]}",
            """matrix:
      recipe: [even, mixed]
      include:
        - {recipe: even, bits: 8, rules: []}
        - {recipe: mixed, bits: 6, rules: [{layers: first}]}""",
        ).replace(
            'with: {bits: "${{ matrix.bits }}"}',
            'with: {bits: "${{ matrix.bits }}", rules: "${{ matrix.rules }}"}',
        )
        + """
  again: {uses: shrink/weights, inputs: {model: small.model}}
"""
    )
    mixed = stages["small[bits=6,recipe=mixed]"]
    assert mixed.params["rules"] == [{"layers": "first", "bits": 8}]
    assert mixed.axes == (("bits", 6), ("recipe", "mixed"))
    (model,) = stages["again[bits=6,recipe=mixed]"].inputs
    assert model.sources == (StageOutput("small[bits=6,recipe=mixed]", "model"),)


def test_an_exclude_may_name_axes_that_inputs_bring(project) -> None:
    stages = project.stages(
        NET
        + """
  again:
    uses: shrink/weights
    matrix: {granularity: [tensor, channel], exclude: [{bits: 4, granularity: tensor}]}
    inputs: {model: small.model}
    with: {granularity: "${{ matrix.granularity }}"}
"""
    )
    assert [s for s in stages if s.startswith("again")] == [
        "again[bits=6,granularity=tensor]",
        "again[bits=8,granularity=tensor]",
        "again[bits=4,granularity=channel]",
        "again[bits=6,granularity=channel]",
        "again[bits=8,granularity=channel]",
    ]


def test_brackets_may_hold_an_axis_of_the_reader(project) -> None:
    stages = project.stages(
        NET
        + """
  best:
    uses: pick/best
    matrix: {least: [4, 6]}
    inputs: {models: {all: "small[bits=${{ matrix.least }}].model"}}
    with: {by: x}
  folder:
    run: ls ${{ inputs.d }} ${{ inputs.e }}
    matrix: {d: [data, kinds]}
    inputs: {d: "./${{ matrix.d }}", e: "datasets.${{ matrix.d }}"}
datasets: {data: {path: data}, kinds: {path: kinds}}
"""
    )
    (models,) = stages["best[least=6]"].inputs
    assert models.sources == (StageOutput("small[bits=6]", "model"),)
    assert [i.sources for i in stages["folder[d=data]"].inputs] == [
        (PathRef("data"),),
        (DatasetRef("data"),),
    ]


def test_needs_pairs_shared_axes_and_otherwise_means_all(project) -> None:
    stages = project.stages(
        """
        stages:
          a: {run: a, matrix: {x: [1, 2]}}
          b: {run: b, matrix: {x: [1, 2]}, needs: a}
          c: {run: c, needs: [a, "b[x=2]"]}
          d: {run: d, matrix: {y: [1]}, needs: a}
        """
    )
    assert stages["b[x=2]"].needs == ("a[x=2]",)
    assert stages["c"].needs == ("a[x=1]", "a[x=2]", "b[x=2]")
    assert stages["d[y=1]"].needs == ("a[x=1]", "a[x=2]")


def test_a_whole_substitution_keeps_its_type_at_every_depth(project) -> None:
    text = """
params:
  both: "${{ params.bits }}-${{ params.deep.rate }}"
  bits: 6
  rules: [{layers: a}]
  deep: {rate: 0.5}
stages:
  train:
    uses: make/net
    inputs: {images: ./data}
    with: {rate: "${{ params.deep.rate }}", layers: ["${{ params.bits }}", 2]}
  convert: {uses: to/coreml, inputs: {model: train.model}, with: {name: "dogs ${{ params.both }}"}}
  small:
    uses: shrink/weights
    inputs: {model: convert.model}
    with: {rules: "${{ params.rules }}"}
    env: {BITS: "${{ params.bits }}", FLAG: true}
    resources: {cpu: "${{ params.bits }}"}
"""
    stages = project.stages(text)
    assert stages["train"].params["rate"] == 0.5
    assert stages["train"].params["layers"] == [6, 2]
    assert stages["convert"].params["name"] == "dogs 6-0.5"
    assert stages["convert"].output("model").path.endswith("/Dogs605.mlpackage")
    assert stages["small"].params["rules"] == [{"layers": "a", "bits": 8}]
    assert stages["small"].env == {"BITS": "6", "FLAG": "true"}
    assert stages["small"].resources == Resources(cpu=6)


def test_values_in_a_command_are_quoted_as_their_place_asks_for(project) -> None:
    stages = project.stages(
        """
        params: {name: "it's $5", many: [a b, c]}
        stages:
          say:
            run: echo ${{ params.name }} "${{ params.name }}" ${{ params.many }} > ${{ outputs.o }}
            outputs: {o: out/o}
        """
    )
    assert stages["say"].command == (
        "echo 'it'\"'\"'s $5' \"it's \\$5\" 'a b' c > ${{ outputs.o }}"
    )


def test_profiles_merge_maps_replace_the_rest_and_null_removes(project) -> None:
    text = """
version: 1
name: dogs
params: {a: 1, b: [1, 2], c: {d: 1, e: 2}}
stages:
  train: {uses: make/net, inputs: {images: ./data}, with: {epochs: 9, rate: 0.5}}
profiles:
  one: {params: {b: [3], c: {d: 5}}, stages: {train: {with: {epochs: null, rate: 0.25}}}}
  two: {params: {c: {d: 6}}}
"""
    found = project.resolve(text, profiles=["one", "two"], sets=["c.e=7", "a=null"])
    assert found.params == {"a": None, "b": [3], "c": {"d": 6, "e": 7}}
    assert found.stages[0].params["epochs"] == 3
    assert found.stages[0].params["rate"] == 0.25
    assert project.resolve(text, profiles=["two", "one"]).params["c"]["d"] == 5


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("a=2", 2),
        ("a=1e-3", 0.001),
        ("a=on", "on"),
        ("a=[1, {b: c}]", [1, {"b": "c"}]),
        ("a=x=y", "x=y"),
        ("a=", None),
        ("params.a=true", True),
        ("a=../some dir", "../some dir"),
    ],
)
def test_set_reads_its_value_as_yaml(project, argument: str, value: object) -> None:
    found = project.resolve("version: 1\nparams: {a: 1}\nstages: {}\n", sets=[argument])
    assert found.params["a"] == value


def test_set_reaches_stages_too(project) -> None:
    stages = project.stages(NET, sets=["stages.train.with.epochs=7"])
    assert stages["train"].params["epochs"] == 7


def test_if_takes_a_stage_away(project) -> None:
    text = """
        params: {on: true, off: false}
        stages:
          a: {run: a, if: "${{ params.on }}"}
          b: {run: b, if: params.off}
          c: {run: c, if: false}
        """
    assert list(project.stages(text)) == ["a"]


def test_all_other_keys_of_a_stage(project) -> None:
    text = """
        toolchains: {ours: {python: "3.11", requirements: ./data/a.txt}}
        stages:
          a:
            run: a
            inputs: {m: {from: ./data, trust: true}, n: {all: [./data, ./kinds]}}
            outputs: {x: {path: out/x, type: Page, cache: false}}
            metrics: out/m.json
            plots: out/p
            gates:
              loss: {max: 2}
              score: {min: 1, max_drop: {value: 0.1, against: release}, first: {min: 0}}
              on_fail: exclude
            timeout_minutes: 1.5
            retries: 2
            secrets: [TOKEN]
            toolchain: ours
            resources: {cpu: 2, gpu: 1, memory_gb: 4, macos: 1}
        """
    stage = project.stages(text)["a"]
    assert [i.trust for i in stage.inputs] == [True, False]
    assert stage.inputs[1].sources == (PathRef("data"), PathRef("kinds"))
    assert stage.outputs == (
        Output("x", "out/x", "Page", cache=False),
        Output("metrics", "out/m.json", "Report", cache=False, role="metrics"),
        Output("plots", "out/p", "Folder", role="plots"),
    )
    assert stage.gates == (
        Gate("loss", max=2),
        Gate("score", min=1, max_drop=0.1, first=(("min", 0),)),
    )
    assert (stage.exclude_on_fail, stage.timeout_minutes, stage.retries) == (True, 1.5, 2)
    assert (stage.secrets, stage.toolchain) == (("TOKEN",), "ours")
    assert stage.resources == Resources(2, 1, 4, 1)


def test_families_of_metrics_may_be_gated(project) -> None:
    stages = project.stages(
        NET.replace("./data}", "./data}\n    gates: {recall.cat: {min_lower: 0.5}}")
    )
    assert stages["train"].gates == (Gate("recall.cat", min_lower=0.5),)


def test_the_output_of_a_kind_may_lie_elsewhere(project) -> None:
    text = NET.replace("./data}", "./data}\n    outputs: {model: models/net}")
    assert project.stages(text)["train"].output("model").path == "models/net"


def test_datasets_keep_their_options(project) -> None:
    sha = "a" * 64
    found = project.resolve(
        f"""
version: 1
name: d
params: {{photos: data}}
datasets:
  photos: {{path: "${{{{ params.photos }}}}"}}
  samples: {{pypi: foolbox==3.3.4, files: "foolbox/data/*.jpg"}}
  weights: {{url: "https://example.org/w.zip", sha256: {sha}, extract: false}}
  code: {{git: "https://example.org/r.git", rev: v1, path: data/x}}
stages: {{}}
ledger: none
strict: true
"""
    )
    assert {n: (d.scheme, d.location, d.options) for n, d in found.datasets.items()} == {
        "photos": ("path", "data", {}),
        "samples": ("pypi", "foolbox==3.3.4", {"files": "foolbox/data/*.jpg"}),
        "weights": ("url", "https://example.org/w.zip", {"sha256": sha, "extract": False}),
        "code": ("git", "https://example.org/r.git", {"rev": "v1", "path": "data/x"}),
    }
    assert (found.ledger, found.strict, found.name) == (False, True, "d")


def test_a_dataset_that_no_stage_uses_may_be_absent(project) -> None:
    project.resolve("version: 1\ndatasets: {d: {path: nowhere}}\nstages: {}\n")


@pytest.mark.parametrize("beside", ["photos/dogs.dvc", "photos.dvc"])
def test_data_that_dvc_knows_counts_as_present(project, beside: str) -> None:
    project.put(beside)
    project.stages("stages: {a: {run: a, inputs: {d: ./photos/dogs}}}")


def test_paths_are_relative_to_the_root_in_their_shortest_form(project, tmp_path: Path) -> None:
    inside = f"../{tmp_path.name}/data"
    stages = project.stages(
        f"stages: {{a: {{run: a, inputs: {{a: {tmp_path}/data, b: ./data/, c: {inside}}}}}}}"
    )
    assert {i.sources for i in stages["a"].inputs} == {(PathRef("data"),)}


def test_comments_and_the_order_of_keys_change_nothing(project) -> None:
    one = project.stages("stages: {a: {run: a, env: {X: 1, Y: 2}, outputs: {o: out/o}}}")
    other = project.stages(
        "# said\nstages:\n  a:\n    outputs: {o: out/o}  # so\n    env: {Y: 2, X: 1}\n    run: a\n"
    )
    assert one == other


def test_names_of_folders_are_safe_and_never_shared() -> None:
    assert slug("quantize", (("bits", 4), ("mode", "k-means"))) == "quantize-bits=4-mode=k-means"
    assert slug("q", (("path", "a/b c"),)) == "q-path=a-b-c-3c7eec"
    assert slug("q", (("path", "a b/c"),)) != slug("q", (("path", "a/b c"),))


def test_variants_that_differ_only_in_case_have_folders_of_their_own(project) -> None:
    text = NET.replace("bits: [4, 6, 8]}", "bits: [4], name: [a, A]}")
    paths = {s.outputs[0].path for s in project.stages(text).values() if s.base == "small"}
    assert len({path.lower() for path in paths}) == 2


@pytest.mark.parametrize(
    ("text", "camel"),
    [("dogs", "Dogs"), ("my-dogs and cats", "MyDogsAndCats"), ("SSDNet_v2", "SSDNetV2")],
)
def test_camel_case_keeps_capitals(text: str, camel: str) -> None:
    assert camel_case(text) == camel


COMBOS = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3), max_size=6
)


@given(left=COMBOS, right=COMBOS)
def test_joining_is_pairing_by_shared_axes(left: list, right: list) -> None:
    naive = [
        {**one, **two}
        for one in left
        for two in right
        if all(one[axis] == two[axis] for axis in one.keys() & two.keys())
    ]
    found = join(left, right)
    assert {frozenset(c.items()) for c in found} == {frozenset(c.items()) for c in naive}
    assert len(found) == len({frozenset(c.items()) for c in found})


@given(combos=COMBOS, excluded=COMBOS)
def test_excluding_leaves_what_holds_no_entry(combos: list, excluded: list) -> None:
    assert without(combos, excluded) == [
        c for c in combos if not any(e.items() <= c.items() for e in excluded)
    ]


@given(
    axes=st.dictionaries(
        st.sampled_from("abc"), st.lists(st.integers(0, 2), min_size=1, unique=True), max_size=3
    ),
    extra=COMBOS,
)
def test_including_never_changes_an_original_value(axes: dict, extra: list) -> None:
    combos: list = [{}]
    for name, values in axes.items():
        combos = [{**c, name: v} for c in combos for v in values]
    found = included(combos, axes, extra)
    for combo, extended in zip(combos, found, strict=False):
        assert combo.items() <= extended.items()
    assert len(found) >= len(combos)


def test_ten_thousand_stages_are_linear(project, count_calls: Callable[[str], float]) -> None:
    def text(n: int) -> str:
        lines = ["version: 1", "name: layers", "stages:", "  s0: {run: a, outputs: {o: out/0}}"]
        for i in range(1, n):
            lines.append(
                f"  s{i}: {{run: 'cp ${{{{ inputs.a }}}} ${{{{ outputs.o }}}}', "
                f"inputs: {{a: s{i - 1}.o, b: s{i // 2}.o}}, outputs: {{o: out/{i}}}}}"
            )
        return "\n".join(lines)

    # Calls of Python functions, not seconds: they do not depend on the machine.
    assert count_calls(text(2000)) < 2.2 * count_calls(text(1000))
