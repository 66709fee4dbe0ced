"""Numerical comparison of a Core ML model with the model it came from."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params


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


KIND = Kind(
    summary="Compares a Core ML model's outputs with those of the model it came from.",
    toolchain="torch",
    params=ParityParams,
    uses_coreml=True,
    inputs={
        "reference": In("TorchModel | CoreMLModel", "What is right."),
        "candidate": In("CoreMLModel", "What is compared with it."),
        "samples": In("ImageFolder | Folder | File", "Pictures, or .npz files: an array an input."),
    },
    outputs={
        "report": Out("Report", "parity.json", "All figures, overall and by sample."),
        "page": Out("Page", "parity.html", "The figures and the worst samples."),
    },
    metrics={
        "psnr_db": Metric("Peak signal to noise ratio; 200 stands for equal.", unit="dB"),
        "max_abs": Metric("Largest absolute error.", better="min"),
        "mean_abs": Metric("Mean absolute error.", better="min"),
        "cosine": Metric("Mean cosine of the angle between outputs."),
        "agreement_top1": Metric("Share of samples with the same best class.", share=True),
        "agreement_topk": Metric(
            "Share of samples whose best class is among the candidate's k best.", share=True
        ),
        "kl": Metric("Mean divergence of class scores.", unit="nats", better="min"),
        "samples": Metric("Number of samples.", better="none"),
        "size_mb": Metric("Size of the candidate.", unit="MB", better="min"),
    },
    details=(
        "The Core ML model is run by mlbuild's reference runtime, on any system. Of classifiers, "
        "the scores before the softmax are compared, less their mean over the classes, which a "
        "softmax does not see: so models that give logits and models that give probabilities are "
        "compared by the same numbers. PSNR is 20 log10(range / root mean square error), the range "
        "being the reference's largest less its smallest value over all samples. Other models are "
        "compared output by output: errors are the largest, PSNR and cosine the smallest of all, "
        "and the metrics of classes are not recorded. Pictures are turned upright and prepared as "
        "each model's own description says. Guide values for PSNR: investigate a float32 model "
        "below 60 dB, a float16 one below 40, 4-bit palettes below 30."
    ),
    example={"topk": 5},
)
