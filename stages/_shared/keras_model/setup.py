"""One way to set TensorFlow up, so that equal inputs give equal bytes."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np


def tensorflow() -> Any:
    """TensorFlow, without its greetings; seconds, so that no file imports it by itself."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    return tf


def configure(job: Any, seed: int = 0) -> Any:
    """Set threads, seeds and deterministic operators.

    Args:
        job: the stage's job; its thread count is part of the stage key, since sums depend on it.
        seed: of every random generator.

    Returns:
        TensorFlow.
    """
    tf = tensorflow()
    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() != job.threads:
        # TensorFlow takes it once in a process.
        threading.set_intra_op_parallelism_threads(job.threads)
        threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.keras.backend.clear_session()  # layers without a name are numbered
    seed_everything(tf, seed)
    return tf


def seed_everything(tf: Any, seed: int) -> None:
    """Seed Python, numpy and TensorFlow."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    tf.random.set_seed(seed)
    tf.keras.utils.set_random_seed(seed % 2**32)
