"""Converter defects from coremltools' public tracker, rebuilt, and the operator that is named.

    python benchmarks/guilty_operator.py avg-pool-ceil     one of them
    python benchmarks/guilty_operator.py                   all of them
    python benchmarks/guilty_operator.py --page            all of them, into docs/guilty-operator.md

A case *lives* where the installed coremltools still has the defect: the network is converted and
nothing else is done. Another one is *rebuilt*: its conversion is changed to what the defective
version wrote.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.conversion.convert import coremltools
from benchmarks.conversion.faults import change
from benchmarks.conversion.program import Program
from mlbuild.coreml import load
from mlbuild.coreml.compare import Guilty, TorchReference, compare

PAGE = ROOT / "docs" / "guilty-operator.md"
TRACKER = "https://github.com/apple/coremltools"
Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class Case:
    """One defect.

    Attributes:
        number: Of the issue or pull request, as a path: issues/2772.
        what: What is wrong, in our words.
        expected: The type of the operator that is to be named.
        net: What is converted.
        shapes: Of its inputs.
        rebuild: What makes of a right conversion what the defective version wrote; None where the
            installed version has the defect.
    """

    name: str
    number: str
    what: str
    expected: tuple[str, ...]
    net: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    rebuild: Callable[[Program], None] | None = None
    exported: bool = False
    precision: str = "FLOAT32"
    scale: float = 1.0


class Calls(nn.Module):
    """A function as a module between two others, so that it is one operator among several."""

    def __init__(self, function: Callable[..., torch.Tensor], before: nn.Module | None = None):
        super().__init__()
        self.function, self.before = function, before or nn.Identity()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The function of the first input's features, and of the other inputs as they are."""
        return torch.tanh(self.function(self.before(inputs[0]), *inputs[1:]))


class Attention(nn.Module):
    """Attention under a mask made of float32's lowest number, as many language models build it."""

    def __init__(self) -> None:
        super().__init__()
        self.joint = nn.Linear(8, 24)
        mask = torch.full((6, 6), torch.finfo(torch.float32).min).triu(1)
        mask[2] = torch.finfo(torch.float32).min  # a place that sees nothing: padding
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [1, 6, 8] -> the same."""
        q, k, v = self.joint(x).chunk(3, dim=-1)
        return torch.softmax(q @ k.transpose(-1, -2) + self.mask, dim=-1) @ v


class Writes(nn.Module):
    """Writes to places of a tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [28] -> [10]."""
        result = torch.zeros(10)
        result[0] = x[1] - x[13]
        result[3] = x[2] * x[5]
        return result + torch.tanh(x[:10])


class TwoWays(nn.Module):
    """A bidirectional LSTM with a layer behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 6, bidirectional=True), nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [7, 1, 5] -> [7, 1, 4]."""
        return self.head(self.lstm(x)[0])


class Normalized(nn.Module):
    """A scale for each channel, as pictures are normalized before the first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [1, 3, 8, 8] -> [1, 6, 6, 6]."""
        return torch.relu(self.conv(torch.sigmoid(x) * (1 / self.std)))


def conv(inside: int = 3, outside: int = 4) -> nn.Module:
    """A layer before what is looked at."""
    return nn.Conv2d(inside, outside, 3, padding=1)


def put(type_: str, key: str, to: Callable[[np.ndarray], np.ndarray]) -> Callable[[Program], None]:
    """A constant of the first operator of a type, changed."""

    def edit(program: Program) -> None:
        change(program.operations(type_)[0].outputs[0].name, key, to)(program)

    return edit


def other_direction(program: Program) -> None:
    """The weights of an LSTM's directions in each other's place."""
    (lstm,) = program.operations("lstm")
    for key in ("weight_ih", "weight_hh", "bias"):
        one, other = program.own(lstm, key), program.own(lstm, f"{key}_back")
        first, second = program.get(one), program.get(other)
        program.put(one, second)
        program.put(other, first)


def lose_writes(program: Program) -> None:
    """Whoever reads what was written reads what stood there before."""
    for write in program.operations("slice_update", "scatter_nd", "scatter"):
        key = next(key for key in ("x", "data") if key in write.inputs)
        program.rewire(write.outputs[0].name, write.inputs[key].arguments[0].name)


def by_corners(program: Program) -> None:
    """Bilinear resizing that takes pixels by their corners."""
    (resize,) = program.operations("upsample_bilinear")
    value = resize.inputs["half_pixel_centers"].arguments.add().value
    value.type.tensorType.dataType = 1  # BOOL
    value.immediateValue.tensor.bools.values.append(False)


CASES = (
    Case(
        "avg-pool-ceil",
        "issues/2772",
        "`avg_pool2d(ceil_mode=True)`: windows that reach over the edge are divided by their "
        "whole size, where torch divides by what lies inside.",
        ("avg_pool",),
        lambda: Calls(lambda x: functional.avg_pool2d(x, 2, 2, ceil_mode=True), conv()),
        ((1, 3, 7, 7),),
    ),
    Case(
        "remainder-of-one",
        "issues/2836",
        "`x % 1` becomes zeros.",
        ("mod", "sub"),
        lambda: Calls(lambda x: torch.sigmoid(x) + x % 1, conv()),
        ((1, 3, 6, 6),),
        scale=3.0,
    ),
    Case(
        "gelu-approximate",
        "pull/2863",
        "`gelu(approximate='tanh')` through torch.export becomes the exact function.",
        ("gelu",),
        lambda: Calls(lambda x: functional.gelu(x, approximate="tanh"), nn.Linear(8, 8)),
        ((4, 8),),
        exported=True,
        scale=2.0,
    ),
    Case(
        "alpha-of-sub",
        "issues/2573",
        "`torch.sub(x, y, alpha=5)` through torch.export subtracts y once.",
        ("sub",),
        lambda: Calls(lambda x, y: torch.sub(x, y, alpha=5), nn.Linear(8, 8)),
        ((4, 8), (4, 8)),
        exported=True,
    ),
    Case(
        "lowest-number-in-mask",
        "pull/2669",
        "An attention mask of float32's lowest number becomes minus infinity in float16, and "
        "rows that see nothing become NaN.",
        ("softmax", "add"),
        Attention,
        ((1, 6, 8),),
        precision="FLOAT16",
    ),
    Case(
        "softplus-threshold",
        "pull/2725",
        "`Softplus(threshold=...)`: the threshold is ignored.",
        ("softplus", "softplus_parametric"),
        lambda: Calls(lambda x: functional.softplus(x, threshold=1.0), conv()),
        ((1, 3, 6, 6),),
    ),
    Case(
        "written-places",
        "issues/1065",
        "Values written to places of a tensor are lost (coremltools 4.0).",
        ("add",),  # it misses what was written; the writes themselves are gone
        Writes,
        ((28,),),
        rebuild=lose_writes,
    ),
    Case(
        "bilinear-corners",
        "issues/673",
        "Bilinear resizing takes pixels by their corners, where the source takes their centres.",
        ("upsample_bilinear", "resize_bilinear"),
        lambda: Calls(lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"), conv()),
        ((1, 3, 5, 5),),
        rebuild=by_corners,
    ),
    Case(
        "one-scale-for-all",
        "issues/905",
        "Only one scale for all channels can be given: the mean stands in for each one's own.",
        ("mul",),
        Normalized,
        ((1, 3, 8, 8),),
        rebuild=put("mul", "y", lambda a: np.full_like(a, 1 / 0.226)),
    ),
    Case(
        "lstm-directions",
        "issues/824",
        "A bidirectional LSTM gives other numbers (4.0b): rebuilt as directions exchanged.",
        ("lstm",),
        TwoWays,
        ((7, 1, 5),),
        rebuild=other_direction,
    ),
    Case(
        "instance-norm",
        "issues/1051",
        "InstanceNorm1d gives other numbers (4.0): rebuilt as another epsilon.",
        ("instance_norm", "batch_norm", "layer_norm"),
        lambda: Calls(nn.InstanceNorm1d(5, affine=True), nn.Conv1d(3, 5, 3)),
        ((1, 3, 12),),
        rebuild=put("instance_norm", "epsilon", lambda a: np.full_like(a, 0.3)),
    ),
    Case(
        "batch-norm-fold",
        "issues/153",
        "A batch normalization that was folded into its convolution gives other numbers: rebuilt "
        "as folded with another epsilon.",
        ("batch_norm", "conv"),
        lambda: nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(), conv(4)),
        ((1, 3, 6, 6),),
        rebuild=put("conv", "weight", lambda a: a * 0.97),
    ),
)


def package(case: Case, module: nn.Module, folder: Path) -> Path:
    """The defective conversion."""
    ct = coremltools()
    examples = tuple(torch.zeros(shape) for shape in case.shapes)
    names = [f"x{number}" for number in range(len(examples))]
    if case.exported:
        source = torch.export.export(module, examples).run_decompositions({})
    else:
        source = torch.jit.trace(module, examples, check_trace=False)
    model = ct.convert(
        source,
        inputs=[ct.TensorType(n, shape=s) for n, s in zip(names, case.shapes, strict=True)],
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=getattr(ct.precision, case.precision),
        skip_model_load=True,
    )
    path = folder / f"{case.name}.mlpackage"
    model.save(str(path))
    if case.rebuild is None:
        return path
    program = Program(path)
    case.rebuild(program)
    (folder / "rebuilt").mkdir()
    return program.save(folder / "rebuilt")


def find(case: Case) -> tuple[Guilty | None, float]:
    """Whom ``compare`` accuses, and how far off the model is (relative to its range)."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(5)
    module = case.net().eval()
    rng = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as scratch:
        path = package(case, module, Path(scratch))
        names = [f.name for f in load(path).description.inputs]
        samples = [
            {
                name: (case.scale * rng.standard_normal(shape)).astype(np.float32)
                for name, shape in zip(names, case.shapes, strict=True)
            }
            for _ in range(2)
        ]
        found = compare(TorchReference(module), path, samples)
        with torch.no_grad():
            wanted = module(*(torch.from_numpy(v) for v in samples[0].values())).numpy()
        (got,) = load(path).predict(samples[0]).values()
    return found.guilty, float(np.abs(got - wanted).max() / np.ptp(wanted))


def told(case: Case, guilty: Guilty | None, off: float) -> str:
    """What one command prints."""
    lines = [f"$ python benchmarks/guilty_operator.py {case.name}"]
    lines.append(f"output off by {100 * off:.2g} % of its range" if np.isfinite(off) else "NaN")
    if guilty is None:
        return "\n".join([*lines, "nobody is accused"])
    made = ", ".join(name for name, _ in guilty.operator.outputs)
    lines.append(f"guilty: {guilty.operator.type} (makes {made})")
    return "\n".join([*lines, f"  {guilty.why}"])


def right(case: Case, guilty: Guilty | None) -> bool:
    """Whether the operator that is named is the one that is wrong."""
    return guilty is not None and guilty.operator.type in case.expected


def write_page(results: list[tuple[Case, str, bool]]) -> None:
    """docs/guilty-operator.md, from what was really found."""
    ct = coremltools()
    hits = sum(ok for _, _, ok in results)
    lines = [
        "# The guilty operator\n\n<!-- made by benchmarks/guilty_operator.py --page -->\n",
        "Defects of converters, known from coremltools' public tracker, in small networks; and the "
        "operator that\n`mlbuild.coreml.compare` names. *Live* ones stand in coremltools "
        f"{ct.__version__}: the network was converted, nothing\nelse. *Rebuilt* ones were mended "
        "since, or never had a network of their own: the conversion was changed to\nwhat the "
        f"defective version wrote. Named rightly: {hits} of {len(results)}.\n",
    ]
    for case, text, ok in results:
        kind = "live" if case.rebuild is None else "rebuilt"
        number = case.number.rsplit("/", 1)[-1]
        lines.append(
            f"## {case.name}\n\n[#{number}]({TRACKER}/{case.number}), {kind}. {case.what}\n"
        )
        lines.append(f"```text\n{text}\n```\n")
        if not ok:
            lines.append(f"Not the right one: that is {' or '.join(case.expected)}.\n")
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def main() -> int:
    """Prints what is found; 1 if an operator is not named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="?", choices=[case.name for case in CASES])
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    chosen = parser.parse_args()
    results = []
    for case in CASES:
        if chosen.case in (None, case.name):
            guilty, off = find(case)
            results.append((case, told(case, guilty, off), right(case, guilty)))
            print(results[-1][1], "" if results[-1][2] else "\nNOT NAMED", "\n", flush=True)
    if chosen.page:
        write_page(results)
    return int(not all(ok for _, _, ok in results))


if __name__ == "__main__":
    sys.exit(main())
