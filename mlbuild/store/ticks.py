"""The filesystem's clock: two writes within one tick of it look alike."""

from __future__ import annotations

import time
from collections.abc import Iterable

from mlbuild.store.statcache import Sig

GRANULE_NS = 20_000_000  # a kernel's coarse clock ticks every 1 to 10 ms
_COARSE_NS = 2_000_000_000  # filesystems that keep whole seconds (or two)


def settled(sig: Sig, now_ns: int) -> bool:
    """Whether a file with this stat data, read at ``now_ns``, cannot change unseen any more."""
    return _rest(sig) < now_ns


def wait_for_tick(sigs: Iterable[Sig | None]) -> None:
    """Sleeps until no change can look like the newest one any more."""
    left = max((_rest(sig) for sig in sigs if sig), default=0) - time.time_ns()
    if left > 0:
        time.sleep(min(left, _COARSE_NS) / 1e9 + 0.001)


def _rest(sig: Sig) -> int:
    """From when on every write must show. Writes set ctime, and nobody can set it back."""
    coarse = sig[1] % 1_000_000_000 == 0 and sig[2] % 1_000_000_000 == 0
    return sig[2] + (_COARSE_NS if coarse else GRANULE_NS)
