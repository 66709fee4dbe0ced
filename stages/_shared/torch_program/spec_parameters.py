"""Parameters of kinds that write a torch program in another format. Read by their specs."""

import re
from typing import Literal

from mlbuild.api import Field, Params, field_validator, model_validator

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class GivenInput(Params):
    """An input of a program that does not describe itself."""

    shape: list[int] = Field(..., description="Shape, `[1, 3, 224, 224]`.")
    dtype: Literal["float32", "float16", "int64", "int32", "uint8", "bool"] = Field(
        "float32", description="Of its values."
    )

    @field_validator("shape")
    @classmethod
    def _sizes(cls, shape: list[int]) -> list[int]:
        if any(size < 1 for size in shape):
            raise ValueError("shape: each size is at least 1")
        return shape


class NamedInput(GivenInput):
    """One of them, by its name."""

    name: str = Field(..., description="Name in the result.")


class ProgramParams(Params):
    """What a program that does not say it takes and gives."""

    output: Literal["auto", "logits", "probabilities"] = Field(
        "auto",
        description="What a classifier returns. `auto`: what the network gives; `probabilities` "
        "puts a softmax behind a network that gives logits.",
    )
    input_name: str | None = Field(
        None, description="Name of the input, where there is one; if not given, the model's own."
    )
    output_names: list[str] | None = Field(
        None, min_length=1, description="Names of the outputs; if not given, the model's own."
    )
    inputs: dict[str, GivenInput] | list[NamedInput] | None = Field(
        None,
        description="Inputs by name, of a TorchScript or exported program that does not describe "
        "itself, in the order in which it takes them: `{image: {shape: [1, 3, 224, 224]}}`.",
    )
    gives: Literal["logits", "probabilities", "value"] | None = Field(
        None, description="What such a program's one output is."
    )
    labels: list[str] | None = Field(
        None, min_length=2, description="Class labels of such a program, in output order."
    )

    @field_validator("inputs")
    @classmethod
    def _listed(
        cls, inputs: dict[str, GivenInput] | list[NamedInput] | None
    ) -> list[NamedInput] | None:
        # A list keeps its order in the stage key, where a map has none.
        if not isinstance(inputs, dict):
            return inputs
        return [NamedInput(name=name, **facts.model_dump()) for name, facts in inputs.items()]

    @model_validator(mode="after")
    def _together(self) -> "ProgramParams":
        given = [i.name for i in self.inputs or () if isinstance(i, NamedInput)]
        named = [
            *given,
            *([self.input_name] if self.input_name else []),
            *(self.output_names or ()),
        ]
        for name in named:
            if not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' is no name: letters, digits and '_', no digit in front")
        repeated = sorted({n for n in named if named.count(n) > 1})
        if repeated:
            raise ValueError(f"two inputs or outputs are called '{repeated[0]}'")
        if given and self.input_name:
            raise ValueError("input_name: inputs names them already")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a label stands twice")
        return self
