"""Numerical comparison of a Core ML model with the model it came from."""

from typing import Any, Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params

from ..._shared.predictions.spec_asked import asked, through

_OWN = ("TorchModel", "CoreMLModel", "CoreMLFile")  # which this kind runs itself
_ASKED, _THROUGH = asked(without=_OWN), through(without=_OWN)


class ParityParams(Params):
    """Parameters of validate/parity."""

    topk: int = Field(5, ge=1, description="For the agreement among the k best classes.")
    worst: int = Field(8, ge=0, le=100, description="How many of the worst samples to show.")
    limit: int | None = Field(
        None, ge=1, description="Compare at most so many samples, evenly spread over their names."
    )
    precision: Literal["declared", "float32"] = Field(
        "declared",
        description="Arithmetic of the candidate: each value rounded to its declared type, or "
        "float32 throughout, which leaves the cost of compressed weights alone.",
    )
    scaling: Literal["scaleFill", "scaleFit", "centerCrop"] = Field(
        "centerCrop",
        description="How pictures reach the size of a Core ML model that does not say it itself.",
    )
    unreadable: Literal["fail", "skip"] = Field(
        "fail", description="What to do with a sample that cannot be read."
    )
    pictures: dict[str, Any] | None = Field(
        None,
        description="How a model of another framework wants pictures, where it does not say it "
        "itself; as in `predict/outputs`.",
    )
    layout: Literal["auto", "NCHW", "NHWC"] = Field(
        "auto", description="Order of axes of such a model's inputs of four dimensions."
    )
    outputs: dict[str, str] = Field(
        default_factory=dict,
        description="The candidate's output for one of the reference's, where names differ and "
        "shapes do not tell: `{Identity_1: note}`.",
    )
    labels: list[str] | None = Field(
        None, description="Such a model's class labels, where it has none."
    )


KIND = Kind(
    summary="Compares a Core ML model's outputs with those of the model it came from.",
    toolchain="torch",
    params=ParityParams,
    uses_coreml=True,
    inputs={
        "reference": In(f"TorchModel | CoreMLModel | Predictions | {_ASKED}", "What is right."),
        "candidate": In(
            f"CoreMLModel | TorchModel | Predictions | {_ASKED}", "What is compared with it."
        ),
        "samples": In(
            "ImageFolder | Folder | Table | File",
            "Pictures, .npz files with an array for each input, or a table.",
        ),
    },
    outputs={
        "report": Out("Report", "parity.json", "All figures, overall and by sample."),
        "page": Out("Page", "parity.html", "The figures and the worst samples."),
    },
    metrics={
        "psnr_db": Metric("Peak signal to noise ratio; 200 stands for equal.", unit="dB"),
        "margin_db": Metric(
            "How much closer than the least that a faultless conversion reaches.", unit="dB"
        ),
        "max_abs": Metric("Largest absolute error.", better="min"),
        "mean_abs": Metric("Mean absolute error.", better="min"),
        "cosine": Metric("Mean cosine of the angle between outputs."),
        "agreement_top1": Metric("Share of samples with the same best class.", share=True),
        "agreement_topk": Metric(
            "Share of samples whose best class is among the candidate's k best.", share=True
        ),
        "agreement.*": Metric(
            "Share of the values of an output of whole numbers (classes, indices) that are equal.",
            share=True,
        ),
        "kl": Metric("Mean divergence of class scores.", unit="nats", better="min"),
        "samples": Metric("Number of samples.", better="none"),
        "size_mb": Metric("Size of the candidate.", unit="MB", better="min"),
    },
    through={"reference": _THROUGH, "candidate": _THROUGH},
    gates={"margin_db": {"min": 0}},
    details=(
        "The Core ML model is run by mlbuild's reference runtime, on any system. A model of "
        "another framework is asked in its own toolchain first, by a stage `predict/outputs` that "
        "is put in (`validate-reference`); names and shapes of outputs, the order of axes and of "
        "labels, and logits against probabilities are brought together. Of classifiers, "
        "the scores before the softmax are compared, less their mean over the classes, which a "
        "softmax does not see: so models that give logits and models that give probabilities are "
        "compared by the same numbers. PSNR is 20 log10(range / root mean square error), the range "
        "being the reference's largest less its smallest value over all samples. Other models are "
        "compared output by output: errors are the largest, PSNR and cosine the smallest of all, "
        "and the metrics of classes are not recorded. Pictures are turned upright and prepared as "
        "each model's own description says. Where a pipeline sets no gates, `margin_db` must not "
        "be below 0. It says how much closer the candidate lies to its reference than the least "
        "that a faultless conversion reaches, by the mean square and by the largest error: in "
        "float32 100 dB; in float16 10 dB below what rounding costs, which is measured on the "
        "same samples by running the candidate in float32 arithmetic too (at least 40 dB: below "
        "that, float16 itself is at fault); for compressed weights 6.02 dB a bit less 8 (40 dB "
        "for 8 bits, 28 for 6, 16 for 4), for pruned ones what the smallest of normal numbers "
        "hold of their energy (14 dB at 30 %, 7 at 50 %). Below it lies no rounding but a fault: "
        "a wrong axis, an epsilon, swapped weights. A fault smaller than what compression costs "
        "cannot be seen behind compressed weights: validate the conversion before it is "
        "compressed. A bound of your own replaces it: `psnr_db: {min: 40}`; `gates: {}` sets "
        "none."
    ),
    example={"topk": 5},
)
