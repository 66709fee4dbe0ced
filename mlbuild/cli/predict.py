"""`mlbuild predict`: run a Core ML model on inputs, on any system."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlbuild.cli import modeljob, options
from mlbuild.errors import Problem, UsageError


@click.command(
    "predict",
    epilog="Example: mlbuild predict build/dogs/best/Dogs.mlpackage --input image=photo.jpg",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    metavar="NAME=FILE",
    help="A picture, or an array as .npy or .json; repeat for models with several inputs.",
)
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Labels shown.")
@click.option(
    "--scale",
    type=click.Choice(["centerCrop", "scaleFit", "scaleFill"]),
    default="centerCrop",
    show_default=True,
    help="How a picture of another size is brought to the model's, as Vision names it.",
)
@click.option(
    "--precision",
    type=click.Choice(["declared", "float32"]),
    default="declared",
    show_default=True,
    help="Round each value to its declared type, or keep all in float32.",
)
@options.JSON
def command(
    model: Path, inputs: tuple[str, ...], top: int, scale: str, precision: str, as_json: bool
) -> int:
    """Run MODEL, an .mlpackage, by the reference runtime and print what it answers."""
    params = {
        "inputs": _named_files(inputs),
        "top": top,
        "scale": scale,
        "precision": precision,
    }
    answer = modeljob.answer("predict", model, params)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return 0
    for output in answer["outputs"]:
        if "scores" in output:
            for label, score in output["scores"]:
                click.echo(f"{score:8.4f}  {label}")
        else:
            click.echo(f"{output['name']}: {output['text']}")
    return 0


def _named_files(inputs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in inputs:
        name, mark, file = text.partition("=")
        if not (mark and name and file):
            raise UsageError(
                Problem(f"--input {text}: not of the form NAME=FILE", hint="image=photo.jpg")
            )
        if not Path(file).is_file():
            raise UsageError(Problem(f"--input {text}: there is no file {file}"))
        found[name] = str(Path(file).resolve())
    return found
