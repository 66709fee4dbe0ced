"""Names of stages in the ledger: DVC allows letters, digits, ``-`` and ``_``."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache


@lru_cache(maxsize=1 << 14)  # asked for a dozen times a stage
def plain_name(pipeline: str, stage: str) -> str:
    """``<pipeline>-<stage>[-axis-value...]`` with every other character mapped to ``-``."""
    return re.sub(r"-+", "-", re.sub(r"[^A-Za-z0-9_-]", "-", f"{pipeline}-{stage}")).strip("-")


def long_name(pipeline: str, stage: str) -> str:
    """The plain name and six digits of the true one's digest, for where plain ones collide."""
    true = f"{pipeline}\0{stage}".encode()
    return f"{plain_name(pipeline, stage)}-{hashlib.sha256(true).hexdigest()[:6]}"


def ledger_names(
    pipeline: str, stages: Iterable[str], taken: Collection[str] = ()
) -> dict[str, str]:
    """Stage -> its name in the ledger.

    Args:
        pipeline: the pipeline's name.
        stages: all its stages.
        taken: names that other stages of dvc.yaml have.
    """
    plain = {stage: plain_name(pipeline, stage) for stage in stages}
    count = Counter(plain.values())
    return {
        stage: name if count[name] == 1 and name not in taken else long_name(pipeline, stage)
        for stage, name in plain.items()
    }
