"""Where a stage's gates find their figures: in place, in the cache, in the last release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from mlbuild import gates
from mlbuild.gates import Metrics
from mlbuild.records import Decision, Digest, GateResult, Stage, StageRecord


class Decided(Protocol):
    """What is needed of a stage that was decided."""

    @property
    def stage(self) -> Stage: ...

    @property
    def decision(self) -> Decision: ...

    @property
    def record(self) -> StageRecord | None: ...


class Judge:
    """Holds stages against their gates.

    Args:
        root: the project.
        object_path: where the cache keeps the bytes of a digest.
        released: what a stage recorded in the last release; None while there is none.
        waived: STAGE.METRIC -> the reason why its gate may fail.
    """

    def __init__(
        self,
        root: Path,
        object_path: Callable[[Digest], Path],
        released: Callable[[Stage], Metrics | None],
        waived: Mapping[str, str],
    ) -> None:
        self._root, self._object_path = root, object_path
        self._released, self._waived = released, waived

    def judge(
        self, stage: Stage, record: StageRecord, in_place: bool, twin: Decided | None
    ) -> tuple[GateResult, ...]:
        """The stage's gates, in the order of the file.

        Args:
            stage: that was made, reused or restored.
            record: of it.
            in_place: whether its metrics lie at their place, or are read from the cache.
            twin: the stage that measured the last release's artifact on today's samples.
        """
        if not stage.gates:
            return ()
        metrics = self._metrics(stage, record, in_place) or {}
        released = self._before(stage, twin) if gates.compares(stage.gates) else None
        waived = {
            name.removeprefix(f"{known}."): reason
            for known in (stage.base, stage.name)  # of all variants, or of this one
            for name, reason in self._waived.items()
            if name.startswith(f"{known}.")
        }
        return gates.evaluate(stage.gates, metrics, released, waived)

    def _before(self, stage: Stage, twin: Decided | None) -> Metrics | None:
        """The released model's figures on today's samples; without a twin, those of its build."""
        if stage.twin is None:
            return self._released(stage)
        if twin is None or twin.record is None:
            return None
        return self._metrics(twin.stage, twin.record, twin.decision is not Decision.RESTORE)

    def _metrics(self, stage: Stage, record: StageRecord, in_place: bool) -> Metrics | None:
        out = next((o for o in stage.outputs if o.role == "metrics"), None)
        if out is None:
            return None
        if in_place:
            return gates.read_metrics(self._root / out.path)
        return gates.read_metrics(self._object_path(record.outputs[out.name]))
