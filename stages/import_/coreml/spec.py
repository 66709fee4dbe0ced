"""import/coreml: somebody else's Core ML model enters a pipeline."""

import re
from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, field_validator, model_validator

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ImportParams(Params):
    """What is changed of the model's face; its computation stays as it is."""

    target: (
        Literal["iOS13", "iOS14", "iOS15", "iOS16", "iOS17", "iOS18", "macOS14", "macOS15"] | None
    ) = Field(
        None,
        description="Oldest system that shall run it: raises the specification version, and is "
        "refused where the model needs a newer one.",
    )
    rename: dict[str, str] = Field(
        default_factory=dict, description="New names of inputs and outputs: `{image__0: image}`."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="New names of a classifier's labels, by their old ones."
    )
    inputs: dict[str, str] = Field(
        default_factory=dict, description="A line for people on each input, by its new name."
    )
    outputs: dict[str, str] = Field(
        default_factory=dict, description="A line for people on each output, by its new name."
    )
    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="The package's name, without suffix."
    )
    author: str | None = Field(None, description="Replaces what the model says.")
    licence: str | None = Field(None, description="Replaces what the model says.")
    version: str | None = Field(None, description="Replaces what the model says.")
    description: str | None = Field(None, description="Replaces what the model says.")
    metadata: dict[str, str] = Field(
        default_factory=dict, description="More metadata, by key; keys of others are left alone."
    )
    update: Literal["keep", "drop"] = Field(
        "keep", description="Whether an updatable model stays one."
    )

    @field_validator("rename")
    @classmethod
    def _names(cls, rename: dict[str, str]) -> dict[str, str]:
        for new in rename.values():
            if not _NAME.fullmatch(new):
                raise ValueError(
                    f"'{new}' cannot name a feature: letters, digits and '_', no digit in front"
                )
        return rename

    @model_validator(mode="after")
    def _apart(self) -> "ImportParams":
        for what, names in (("rename", self.rename), ("labels", self.labels)):
            new = list(names.values())
            twice = sorted({name for name in new if new.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: two are called '{twice[0]}'")
        return self


KIND = Kind(
    summary="Takes a Core ML model that was made elsewhere into the pipeline.",
    toolchain="torch",
    params=ImportParams,
    uses_coreml=True,
    inputs={
        "model": In(
            "CoreMLModel | CoreMLFile | File | Folder",
            "An .mlpackage, an .mlmodel, or a folder that holds exactly one of them.",
        )
    },
    outputs={
        "model": Out("CoreMLModel", "{Name}.mlpackage", "The model as a package."),
        "report": Out("Report", "report.json", "What it holds, and what was changed."),
    },
    metrics={
        "size_mb": Metric("Size of the package.", unit="MB", better="min"),
        "operators": Metric("Operators or layers, constants not counted.", better="none"),
        "specification_version": Metric("Core ML specification version.", better="none"),
    },
    details=(
        "A gallery model, a file behind an address with its digest, a package out of a "
        "distribution: it is checked (weights complete, every operator one that the reference "
        "runtime knows), upgraded to a package, renamed and described, and from then on verified, "
        "compressed and packaged like one's own. What it computes is not touched: after renaming, "
        "the result is run beside the original on random inputs and must agree bit for bit. Equal "
        "models are equal bytes. A compiled `.mlmodelc` cannot be taken apart and is refused."
    ),
    example={"rename": {"image__0": "image"}, "author": "Somebody", "licence": "MIT"},
)
