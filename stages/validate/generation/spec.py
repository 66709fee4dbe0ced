"""validate/generation: whether a Core ML model tells the same text as the model it came from."""

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class GenerationParams(Params):
    """What both go on with, and how tokens are chosen."""

    prompts: list[str] = Field(
        default_factory=list, description="Beginnings, as text; beside those of `samples`."
    )
    tokens: int = Field(32, ge=1, le=4096, description="How many tokens they go on for, at most.")
    temperature: float = Field(0.8, gt=0, le=10, description="Of the sampled texts.")
    top_k: int | None = Field(40, ge=1, description="Sampled texts choose among so many tokens.")
    seed: int = Field(0, ge=0, description="Of the sampled texts.")
    limit: int | None = Field(None, ge=1, description="At most so many of the samples.")

    @model_validator(mode="after")
    def _together(self) -> "GenerationParams":
        if any(not prompt for prompt in self.prompts):
            raise ValueError("prompts: one is empty")
        return self


KIND = Kind(
    summary="Compares the texts that a Core ML model and its torch model tell, token by token.",
    toolchain="torch",
    params=GenerationParams,
    uses_coreml=True,
    inputs={
        "reference": In("TorchModel", "What is right."),
        "candidate": In("CoreMLModel", "What is compared with it."),
        "samples": In("Folder", "Beginnings that train/text-generator gave out.", optional=True),
    },
    outputs={
        "report": Out("Report", "generation.json", "Both texts of each prompt, and the figures."),
    },
    metrics={
        "exact_greedy": Metric(
            "Share of texts, always the likeliest token, that are equal to the last token.",
            share=True,
        ),
        "exact_sampled": Metric("The same of texts with random choices of one seed.", share=True),
        "agreement": Metric(
            "Share of equal likeliest tokens where both have read the reference's text.",
            share=True,
        ),
        "max_abs": Metric("Largest difference of logits there.", better="min"),
        "psnr_db": Metric("Peak signal to noise ratio of logits there.", unit="dB"),
        "perplexity_ratio": Metric(
            "Perplexity of the candidate over the reference's, on the reference's texts.",
            better="min",
        ),
        "tokens": Metric("Tokens compared.", better="none"),
    },
    details=(
        "Both models read each beginning with the function `prompt` and go on with `step`; the "
        "Core ML model is run by mlbuild's reference runtime, with its state. In float32 the texts "
        "are equal to the last token, but for the choices whose scores are equal to rounding; in "
        "float16 one such choice makes all that follows another text, so that `agreement`, for "
        "which both read the same, is what tells a fault: gate `agreement` and `psnr_db` there, "
        "and `exact_greedy` in float32."
    ),
    example={"prompts": ["To be, or"], "tokens": 32},
)
