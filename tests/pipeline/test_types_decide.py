"""The type of an input decides: the toolchain, the code, and a stage in between."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

CONVERT = """
    from mlbuild.api import ByInput, In, Kind, Out, Params

    class Settings(Params):
        pass

    KIND = Kind(
        summary="Converts from anywhere.",
        toolchain=ByInput("model", {"TorchModel": "torch", "OnnxModel | KerasModel": "onnx"}),
        params=Settings,
        inputs={"model": In("TorchModel | OnnxModel | KerasModel", "What to convert.")},
        outputs={"model": Out("CoreMLModel", "{Name}.mlpackage", "The result.")},
    )
    """
ASK = """
    from mlbuild.api import Field, In, Kind, Out, Params

    class Settings(Params):
        limit: int | None = None
        depth: int = Field(1, ge=1)

    KIND = Kind(
        summary="Asks a model.",
        toolchain="torch",
        params=Settings,
        inputs={"model": In("Any", "Who is asked."), "samples": In("Any", "What.")},
        outputs={"predictions": Out("Predictions", "predictions", "The answers.")},
    )
    """
COMPARE = """
    from mlbuild.api import In, Kind, Out, Params, Through

    class Settings(Params):
        limit: int | None = None
        mine: int = 1

    ASKED = Through("ask/model", "OnnxModel | KerasModel", "model", "predictions",
                    inputs=("samples",), params={"limit": "limit", "mine": "depth"})
    KIND = Kind(
        summary="Compares.",
        toolchain="torch",
        params=Settings,
        inputs={"reference": In("TorchModel | Predictions | OnnxModel | KerasModel", "Right."),
                "others": In("CoreMLModel | Predictions | OnnxModel", "Asked.", many=True,
                             optional=True),
                "samples": In("Any", "What.")},
        outputs={"report": Out("Report", "report.json", "Figures.")},
        through={"reference": ASKED, "others": ASKED},
    )
    """


@pytest.fixture(autouse=True)
def kinds(project: Callable[..., object]) -> None:
    """Three more kinds, and files to be read."""
    from mlbuild.registry import Registry, Root

    root = project.root  # type: ignore[attr-defined]
    runs = {"from/any": ("torch", "onnx"), "ask/model": (), "hold/against": ()}
    for (name, tools), text in zip(runs.items(), (CONVERT, ASK, COMPARE), strict=True):
        folder = root / "kinds" / name
        folder.mkdir(parents=True)
        (folder / "spec.py").write_text(
            dedent(text).replace(
                '"OnnxModel | KerasModel": "onnx"', '"OnnxModel": "onnx", "KerasModel": "onnx"'
            )
        )
        for tool in tools or ("",):
            (folder / (f"run_{tool}.py" if tool else "run.py")).write_text("def run(job): pass\n")
    project.registry = Registry([Root(root / "kinds", "built-in")], trusted=True)  # type: ignore[attr-defined]
    for file in ("net.onnx", "net.h5", "net.csv", "other", "s.npz"):
        project.put(file, "x")  # type: ignore[attr-defined]


WHERE = "stage 'c': input 'model'"


def stage(reference: str) -> str:
    return f"stages: {{c: {{uses: from/any, inputs: {{model: {reference}}}}}}}\n"


@pytest.mark.parametrize(
    ("reference", "toolchain", "run"),
    [
        ("./net.onnx", "onnx", "run_onnx.py"),
        ("./net.h5", "onnx", "run_onnx.py"),
        ("{from: ./other, type: TorchModel}", "torch", "run_torch.py"),
        ("{from: ./net.onnx, type: TorchModel}", "torch", "run_torch.py"),  # said beats suffix
    ],
)
def test_the_type_of_a_path_decides_toolchain_and_code(
    project, reference: str, toolchain: str, run: str
) -> None:
    found = project.stages(stage(reference))["c"]
    assert (found.toolchain, found.run) == (toolchain, run)


def test_the_type_of_another_stages_output_decides(project) -> None:
    found = project.stages("""
        stages:
          net: {uses: make/net, inputs: {images: ./other}}
          write: {run: "cp net.onnx ${{ outputs.o }}", outputs: {o: build/made.onnx}}
          a: {uses: from/any, inputs: {model: net.model}}
          b: {uses: from/any, inputs: {model: write.o}}
        """)
    assert [found[n].run for n in "ab"] == ["run_torch.py", "run_onnx.py"]


def test_a_toolchain_of_ones_own_keeps_the_code_of_the_type(project) -> None:
    text = stage("./net.onnx").replace("uses: from/any", "uses: from/any, toolchain: torch")
    found = project.stages(text)["c"]
    assert (found.toolchain, found.run) == ("torch", "run_onnx.py")


def test_a_path_that_tells_no_type_is_refused(says) -> None:
    says(
        "version: 1\n" + stage("./other"),
        f"""
        p.yaml:2:46: {WHERE}: nothing says of what type it is, which decides the toolchain
           2 | stages: {{c: {{uses: from/any, inputs: {{model: ./other}}}}}}
             |                                              ^
          allowed: TorchModel, OnnxModel, KerasModel
          hint: model: {{from: REFERENCE, type: TYPE}}
        """,
    )


def test_a_path_of_another_type_is_refused(says) -> None:
    says(
        "version: 1\n" + stage("./net.csv"),
        f"""
        p.yaml:2:46: {WHERE} takes TorchModel or OnnxModel or KerasModel, but this is Table
           2 | stages: {{c: {{uses: from/any, inputs: {{model: ./net.csv}}}}}}
             |                                              ^
          hint: model: {{from: REFERENCE, type: TYPE}}
        """,
    )


def test_an_unknown_type_is_told(project) -> None:
    told = project.told("version: 1\n" + stage("{from: ./other, type: OnxModel}"))
    assert "stage 'c': input 'model': unknown type 'OnxModel'" in told
    assert "hint: did you mean 'OnnxModel'?" in told


def held(reference: str, rest: str = "") -> str:
    return (
        "stages:\n"
        f"  v: {{uses: hold/against, inputs: {{reference: {reference}, samples: ./s.npz{rest}}},\n"
        "      with: {limit: 3, mine: 2}}\n"
    )


def test_an_input_is_led_through_a_stage_of_its_own(project) -> None:
    found = project.stages(held("./net.onnx"))
    assert sorted(found) == ["v", "v-reference"]
    asked, compared = found["v-reference"], found["v"]
    assert asked.kind == "ask/model"
    assert asked.params == {"limit": 3, "depth": 2}
    assert [(i.role, i.sources[0].path) for i in asked.inputs] == [
        ("model", "net.onnx"), ("samples", "s.npz"),
    ]  # fmt: skip
    source = compared.inputs[0].sources[0]
    assert (source.stage, source.output) == ("v-reference", "predictions")


def test_an_input_of_another_type_is_read_directly(project) -> None:
    found = project.stages(held("{from: ./other, type: TorchModel}"))
    assert sorted(found) == ["v"]


def test_each_of_many_inputs_is_led_by_itself(project) -> None:
    found = project.stages(held("./net.h5", ", others: {all: [./net.onnx, ./net.onnx]}"))
    assert sorted(found) == ["v", "v-others-1", "v-others-2", "v-reference"]


def test_a_matrix_is_followed_by_the_stage_in_between(project) -> None:
    found = project.stages("""
        stages:
          write:
            {matrix: {b: [1, 2]}, run: "x ${{ outputs.o }}", outputs: {o: "${{ matrix.b }}/m.onnx"}}
          v: {uses: hold/against, inputs: {reference: write.o, samples: ./s.npz}}
        """)
    assert sorted(found) == [
        "v-reference[b=1]", "v-reference[b=2]", "v[b=1]", "v[b=2]", "write[b=1]", "write[b=2]",
    ]  # fmt: skip
    assert found["v[b=2]"].inputs[0].sources[0].stage == "v-reference[b=2]"


def test_a_path_by_matrix_axis_is_followed_too(project) -> None:
    found = project.stages(
        """
        stages:
          v:
            uses: hold/against
            matrix: {n: [net]}
            inputs: {reference: "./${{ matrix.n }}.onnx", samples: ./s.npz}
        """
    )
    assert found["v-reference[n=net]"].inputs[0].sources[0].path == "net.onnx"


def test_a_name_that_is_taken_is_told(project) -> None:
    told = project.told(
        "version: 1\n"
        + held("./net.onnx")
        + "  v-reference: {run: 'true > ${{ outputs.x }}', outputs: {x: build/x}}\n"
    )
    assert "stage 'v' puts in a stage 'v-reference' for this input, which there is" in told
    assert "hint: rename stage 'v-reference'" in told
