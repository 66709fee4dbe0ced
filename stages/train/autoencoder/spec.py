"""train/autoencoder: cleans pictures, and tells how unlike the learnt ones a picture is."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, model_validator

from ..._shared.vision_training.spec_learning import Stepping


class AutoencoderParams(Stepping):
    """What is trained, how, and how it is judged."""

    image_size: int = Field(
        32, ge=8, le=512, description="Side of the input; a multiple of the coarsest step."
    )
    grayscale: bool = Field(False, description="One channel.")
    resize: Literal["crop", "squash", "pad"] = Field(
        "crop", description="How a picture of other proportions becomes a square."
    )
    normal: list[str] | None = Field(
        None,
        min_length=1,
        description="Labels that are normal: only these are learnt; any other of the test is an "
        "anomaly. Default: all labels of `images`.",
    )
    noise: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Deviation of the noise that is put on training pictures, as share of full "
        "range; 0: none.",
    )
    code: int = Field(32, ge=1, le=4096, description="Numbers through which a picture must go.")
    channels: list[int] = Field(
        default_factory=lambda: [16, 32],
        min_length=1,
        max_length=5,
        description="Width of each stage; each halves the size.",
    )
    quantile: float = Field(
        0.99,
        gt=0.5,
        lt=1,
        description="Share of held-out normal pictures that the threshold lets pass.",
    )
    unreadable: Literal["skip", "fail"] = Field(
        "skip", description="Files that are no picture: listed and left out, or an error."
    )
    path_column: str = Field("path", description="Of a table: the file, relative to the table.")
    label_column: str = Field("label", description="Of a table: the class.")
    epochs: int = Field(20, ge=1, le=2000, description="Times that each picture is seen.")
    learning_rate: float | None = Field(None, gt=0, le=10, description="Highest; default 0.003.")
    patience: int | None = Field(
        None, ge=1, description="Stop when the held-out loss did not fall for so many epochs."
    )
    holdout: float = Field(
        0.15, gt=0, lt=0.9, description="Share of the pictures held out, for the threshold."
    )

    @model_validator(mode="after")
    def _together(self) -> "AutoencoderParams":
        step = 2 ** len(self.channels)
        if self.image_size % step:
            raise ValueError(f"image_size: {self.image_size} is no multiple of {step}")
        if any(not 1 <= c <= 1024 for c in self.channels):
            raise ValueError("channels: each must be 1 to 1024")
        return self


KIND = Kind(
    summary="Trains an autoencoder: cleaned pictures, and a score of anomaly.",
    toolchain="torch",
    params=AutoencoderParams,
    inputs={
        "images": In("ImageFolder | Table | Folder", "Normal pictures, flat or by label."),
        "test": In(
            "ImageFolder | Table | Folder", "Labelled, normal and not; never learnt.", optional=True
        ),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture and preprocessing."),
        "report": Out("Report", "report.json", "Figures, scores by label, the threshold."),
    },
    metrics={
        "psnr_db": Metric("Of pictures that came back, against those that went in.", unit="dB"),
        "denoised_db": Metric("Of noisy pictures that came back, against clean ones.", unit="dB"),
        "noisy_db": Metric("Of noisy pictures as they went in.", unit="dB", better="none"),
        "roc_auc": Metric("Chance that an anomaly has a higher score than a normal picture."),
        "roc_auc_low": Metric("Lower end of its 95 % interval."),
        "roc_auc_high": Metric("Upper end of its 95 % interval.", better="none"),
        "detected": Metric("Share of anomalies above the threshold.", share=True),
        "false_alarms": Metric("Share of normal ones above it.", share=True, better="min"),
        "threshold": Metric("Score above which a picture is told as anomaly.", better="none"),
        "images": Metric("Pictures that were learnt.", better="none"),
        "unreadable": Metric("Files that were left out.", better="min"),
        "epochs": Metric("Epochs of the training.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "The network squeezes a picture through `code` numbers and restores it; trained on noisy "
        "pictures it cleans them. What it never learnt it restores badly: `score` is the mean "
        "squared difference in percent of full range squared, and the metadata holds the "
        "`threshold` that lets pass the wanted share of normal pictures that were held out. "
        "Figures come from held-out pictures and from the `test` input. The interval of the area "
        "under the curve is Hanley and McNeil's."
    ),
    example={"image_size": 32, "code": 32, "epochs": 20},
)
