"""Write a torch network as a Core AI asset."""

from __future__ import annotations

import json
import re
import traceback
import warnings
from typing import Any

from ..._shared.coreml_package.canonical import size_of
from ..._shared.description.description import KEY, to_text
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_program.exporting import exported, refused
from ..._shared.torch_program.program import Program, read
from ..._shared.torch_setup.configure import configure
from .asset import check, facts, settle, settled

_OPERATORS = re.compile(r"(?:unsupported ATen|non-decomposed) ops: ([\w., ]+?)\. ")


@told
def run(job: Any) -> None:
    """Read, convert, write, check."""
    configure(job)
    program = read(job)
    job.progress(0, 2, "converting")
    written = _converted(program, job.log)
    folder = job.outputs["model"]
    written.save_asset(folder, metadata=_metadata(program, job.params))
    settle(folder)
    job.progress(1, 2, "reading back")
    found = facts(folder)
    check(found, program)
    text = json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.log("running it needs OS 27: its numbers were not compared")
    job.metric("size_mb", size_of(folder) / 1e6)
    job.metric("operators", sum(found["operators"].values()))


def _converted(program: Program, log: Any) -> Any:
    source = exported(program, log)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations, and of torch's version "+cpu"
            import coreai_torch  # heavy

            plain = source.run_decompositions(coreai_torch.get_decomp_table())
            # The other mode writes stack traces, and with them paths, into the program.
            converter = coreai_torch.TorchConverter(mode=coreai_torch.TorchConverter.Mode.RELEASE)
            converter.add_exported_program(
                plain,
                input_names=[given.name for given in program.inputs],
                output_names=[name for name, _ in program.outputs],
            )
            return settled(converter.to_coreai())
    except Exception as error:  # the converter raises whatever it stumbles over
        log(traceback.format_exc())
        lacking = _OPERATORS.search(str(error))
        if lacking:
            raise Problem(
                f"Core AI has no counterpart for the operator {lacking[1]}",
                hint="rewrite it with others; the whole traceback is in the stage's log",
            ) from error
        raise refused("coreai-torch cannot convert this network", error) from error


def _metadata(program: Program, params: Any) -> Any:
    from coreai.runtime import AIModelAssetMetadata  # as above

    metadata = AIModelAssetMetadata()
    metadata.author = params.author or ""
    metadata.license = params.licence or ""
    metadata.model_description = params.description or ""
    metadata.set_custom(KEY, to_text(program.describe()))
    return metadata
