"""mlbuild: make for on-device models.

Nothing is imported here: start-up time is a feature, and ``mlbuild.coreml`` stands alone.
Public names are resolved on first use.
"""

__all__ = ["Pipeline", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:  # no `typing`: a third of a no-op's imports
    if name == "Pipeline":
        from mlbuild.build import Pipeline  # lazy: the whole engine hangs on it

        return Pipeline
    raise AttributeError(f"module 'mlbuild' has no attribute {name!r}")
