"""train/text-generator: from a text to a small GPT that goes on with a beginning."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params, model_validator


class GeneratorParams(Params):
    """What is read, how large the network is, and how it is trained."""

    text_column: str = Field("text", description="Of tables: the column of texts.")
    tokenizer: Literal["pairs", "bytes"] = Field(
        "pairs",
        description="Pairs of bytes that are learnt from the text, or bytes alone.",
    )
    vocabulary: int = Field(
        1024, ge=258, le=65000, description="Of pairs: how many tokens there are at most."
    )
    context: int = Field(128, ge=8, le=4096, description="Tokens that the model can look back at.")
    prompt_length: int = Field(
        32,
        ge=2,
        le=1024,
        description="Tokens of a prompt that the function `prompt` reads at once.",
    )
    width: int = Field(128, ge=8, le=2048, description="Numbers of a token's vector.")
    heads: int = Field(4, ge=1, le=64, description="Of attention; they share the width.")
    layers: int = Field(4, ge=1, le=48, description="Blocks of attention and perceptron.")
    dropout: float = Field(0.1, ge=0, lt=1, description="While training.")
    seed: int = Field(0, ge=0, description="Of every random choice.")
    steps: int = Field(1000, ge=1, le=1000000, description="Gradient steps.")
    batch_size: int = Field(16, ge=1, le=1024, description="Windows of a step.")
    learning_rate: float = Field(0.001, gt=0, le=1, description="Highest one.")
    warmup_steps: int = Field(50, ge=0, description="While the learning rate rises.")
    weight_decay: float = Field(0.1, ge=0, le=1, description="Pull towards small weights.")
    holdout: float = Field(
        0.1, gt=0, lt=0.9, description="Share, from the end, for the figures; never learnt."
    )
    validation_share: float = Field(
        0.05, gt=0, lt=0.5, description="Share that decides which step's weights are kept."
    )
    samples: int = Field(
        8, ge=1, le=1000, description="Beginnings that are given out for validation."
    )

    @model_validator(mode="after")
    def _together(self) -> "GeneratorParams":
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} cannot share a width of {self.width}")
        if self.prompt_length > self.context:
            raise ValueError("prompt_length: is longer than context")
        return self


KIND = Kind(
    summary="Trains a small GPT that goes on with a text, with its tokenizer.",
    toolchain="torch",
    params=GeneratorParams,
    inputs={
        "text": In("File | Folder", "Plain text, or tables with a column of texts."),
        "test": In("File | Folder", "For the figures; never learnt.", optional=True),
        "tokenizer": In("Tokenizer", "One that was learnt before.", optional=True),
    },
    outputs={
        "model": Out("TorchModel", "model", "Weights, architecture, tokenizer, states, functions."),
        "tokenizer": Out("Tokenizer", "tokenizer", "How text becomes tokens and back, as JSON."),
        "report": Out("Report", "report.json", "Figures, and texts that it tells."),
        "samples": Out("Folder", "samples", "Held-out beginnings, for parity and generation."),
    },
    metrics={
        "perplexity": Metric("Of held-out tokens: exp of the mean loss.", better="min"),
        "bits_per_byte": Metric(
            "The same for each byte, which tokenizers do not change.", better="min"
        ),
        "loss": Metric("Mean of -log of the true next token's score.", unit="nats", better="min"),
        "accuracy": Metric("Share of held-out tokens that were the likeliest.", share=True),
        "tokens": Metric("Tokens to learn from.", better="none"),
        "vocabulary": Metric("Different tokens.", better="none"),
        "steps": Metric("Step whose weights were kept.", better="none"),
        "size_mb": Metric("Size of the model.", unit="MB", better="min"),
    },
    plots=True,
    details=(
        "The converted model (`target: iOS18` or later) keeps keys and values of what it has read "
        "as Core ML state and has two functions with one set of weights: `prompt` reads "
        "`prompt_length` tokens at once, `step` one. Both take `ids` and the `position` of the "
        "first of them and give the logits after each token; a prompt is filled up with zeros, "
        "which do no harm. `validate/generation` lets the torch model and the Core ML model tell "
        "the same texts. The tokenizer is an output of its own and stands in the metadata; "
        "`package/swift` puts it into the package."
    ),
    example={"context": 128, "steps": 1000},
)
