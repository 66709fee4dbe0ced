"""A model compiled by Xcode."""

from __future__ import annotations

import shutil
from typing import Any

from ..._shared.apple_tools.macos import needs_macos
from ..._shared.apple_tools.xcrun import (
    compile_model,
    coremlcompiler,
    named,
    system_options,
    the_only,
)
from ..._shared.coreml_package.canonical import size_of
from ..._shared.problem.problem import told


@told
def run(job: Any) -> None:
    """Compile, generate."""
    needs_macos("package/compiled", "Xcode's coremlcompiler")
    params, model, output = job.params, job.inputs["model"], job.outputs["model"]
    name = params.name or output.name.removesuffix(".mlmodelc")
    options = system_options(params.platform, params.deployment_target)
    compiled = compile_model(model, name, job.scratch / "compile", options)
    shutil.move(compiled, output)
    folder, source = job.scratch / "interface", job.scratch / "generate"
    folder.mkdir()
    source.mkdir()
    language = ["--language", "Swift"]
    if params.swift_version is not None:
        language += ["--swift-version", params.swift_version]
    coremlcompiler("generate", named(model, name, source), folder, [*language, *options])
    shutil.move(the_only(folder, "*.swift", "Swift interface"), job.outputs["interface"])
    job.metric("size_mb", size_of(output) / 1e6)
