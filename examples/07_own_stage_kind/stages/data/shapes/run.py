"""Draw them. This runs in the toolchain's Python and never imports mlbuild."""

import random

from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "cross")


def run(job):
    """One folder for each shape, named as ``words`` says."""
    names = SHAPES
    if job.inputs.get("words"):
        names = job.inputs["words"].read_text(encoding="utf-8").split()
        if len(names) != len(SHAPES):
            job.fail(
                f"{job.inputs['words'].name} holds {len(names)} words, needed are {len(SHAPES)}",
                hint=f"one for each of {', '.join(SHAPES)}, in this order",
            )
    dice = random.Random(job.params.seed)
    for shape, name in zip(SHAPES, names, strict=True):
        folder = job.outputs["images"] / name
        folder.mkdir(parents=True)
        for number in range(job.params.count):
            draw(shape, job.params.size, dice).save(folder / f"{number:04}.png")
        job.progress(SHAPES.index(shape) + 1, len(SHAPES), name)
    job.metric("images", len(SHAPES) * job.params.count)


def draw(shape, size, dice):
    """A shape of some grey on another, somewhere."""
    picture = Image.new("L", (size, size), dice.randint(0, 90))
    half = dice.uniform(0.2, 0.35) * size
    x, y = (dice.uniform(half, size - half) for _ in range(2))
    box, pen, grey = (
        (x - half, y - half, x + half, y + half),
        ImageDraw.Draw(picture),
        dice.randint(150, 255),
    )
    if shape == "circle":
        pen.ellipse(box, fill=grey)
    elif shape == "square":
        pen.rectangle(box, fill=grey)
    else:
        width = max(2, round(half / 2))
        pen.line((x - half, y, x + half, y), fill=grey, width=width)
        pen.line((x, y - half, x, y + half), fill=grey, width=width)
    return picture
