"""How fast the engines of a machine are, and what follows from it.

    times of training steps ──▶ the engine of each qubit count, for a search whose spec says `auto`
    gains of bundles        ──▶ how many candidates travel together

Plain Python: the controller and the API read calibrations without loading a simulator. They are measured by
`nas.engines.timing`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nas.spec import SearchSpec
from nas.spec.engines import Precision
from nas.spec.genes import choices_of
from nas.spec.limits import AUTO_ENGINES, ENGINE_QUBITS

#: Of the stored form; another one is measured anew.
LAYOUT: Final = 1

#: Rows of the larger of the two batches that are timed.
MANY_ROWS: Final = 32

#: The engine that computes bundles jointly; others take their members one after the other.
BUNDLED_ENGINE: Final = "batched"

#: State vectors that a step of one row may hold at once, whatever its depth; more rows are split to fit.
_STATES_HELD: Final = 8

_AMPLITUDE_BYTES: Final[dict[Precision, int]] = {"complex64": 8, "complex128": 16}


class InvalidCalibration(ValueError):
    """A document that is no calibration of this layout; the machine has to be measured anew."""


class NothingHolds(ValueError):
    """No engine of the workers holds the circuits of a search; the message says what is needed."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StepTime(_Model):
    """Seconds of one training step, forward and backward, of one circuit."""

    qubits: int = Field(ge=1)
    one_row_s: float = Field(gt=0, allow_inf_nan=False)
    many_rows_s: float = Field(gt=0, allow_inf_nan=False)
    is_scaled: bool = Field(default=False, description="many rows were not timed: so many times one row, at most")


class BundleGain(_Model):
    """How many times faster `size` candidates are together than one after the other; size 1 where that pays little."""

    qubits: int = Field(ge=1)
    size: int = Field(ge=1)
    gain: float = Field(gt=0, allow_inf_nan=False)


class Calibration(_Model):
    """What was measured on a machine for one class of device. Engines that are not there have no times."""

    layout: Literal[1] = LAYOUT
    key: str = Field(description="digest of the hardware and the versions that were measured")
    device: Literal["cpu", "gpu"]
    device_name: str
    n_devices: int = Field(ge=1, description="that share no memory: GPUs, or 1 for all cores")
    memory_bytes: int = Field(ge=1, description="of one of them")
    seconds: float = Field(ge=0, allow_inf_nan=False, description="that the measuring took")
    times: dict[str, list[StepTime]]
    bundles: list[BundleGain]

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        ladders = [[point.qubits for point in points] for points in self.times.values()]
        for widths in (*ladders, [point.qubits for point in self.bundles]):
            if any(a >= b for a, b in pairwise(widths)):
                raise ValueError("qubits must ascend")
        if not all(self.times.values()):
            raise ValueError("an engine has no times")
        return self

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Returns the calibration of JSON values.

        Raises:
            InvalidCalibration: they are of another layout, or of none.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise InvalidCalibration(f"no calibration of layout {LAYOUT}: {place}: {first['msg']}") from error

    def to_json(self) -> dict[str, Any]:
        """Returns the calibration as JSON values."""
        return self.model_dump(mode="json")

    def seconds_of(self, engine: str, *, qubits: int, rows: int) -> float | None:
        """Returns the seconds of a training step, or None for an engine that is not on the machine.

        Between two measured widths the logarithm is linear in the qubits. Above the last it grows as between the last
        two, and at least doubles with each qubit. In the rows the time is linear through the two batches measured.
        """
        points = self.times.get(engine)
        if points is None:
            return None
        share = (rows - 1) / (MANY_ROWS - 1)
        curve = [(p.qubits, math.log2(p.one_row_s + share * max(p.many_rows_s - p.one_row_s, 0.0))) for p in points]
        return float(2.0 ** _at(curve, qubits))

    def widest(self, engine: str, *, precision: Precision, n_slots: int) -> int:
        """Returns the most qubits that the engine holds in the memory of one slot of so many."""
        share = min(self.memory_bytes, self.memory_bytes * self.n_devices // n_slots)
        n_amplitudes = share // (_STATES_HELD * _AMPLITUDE_BYTES[precision])
        return min(ENGINE_QUBITS[engine], n_amplitudes.bit_length() - 1)

    def bundle_size(self, qubits: int) -> int:
        """Returns how many candidates of this width a bundle should hold: that of the next width measured, or 1."""
        return next((point.size for point in self.bundles if point.qubits >= qubits), 1)


@dataclass(frozen=True, slots=True)
class CalibratedWorker:
    """A worker as the choice of an engine sees it."""

    n_slots: int
    calibration: Calibration

    def speed(self, engine: str, *, qubits: int, rows: int, precision: Precision) -> float:
        """Returns the steps a second of all its slots; 0 where it lacks the engine or the memory."""
        seconds = self.calibration.seconds_of(engine, qubits=qubits, rows=rows)
        if seconds is None or qubits > self.calibration.widest(engine, precision=precision, n_slots=self.n_slots):
            return 0.0
        return self.n_slots / seconds


def choose_engine(workers: Sequence[CalibratedWorker], *, qubits: int, rows: int, precision: Precision) -> str | None:
    """Returns the engine with which the workers together do the most steps a second, or None if none can do any.

    An engine that all workers have goes before any that one lacks: whoever takes an evaluation must be able to do it.
    The order of the workers does not matter.
    """

    def rank(engine: str) -> tuple[bool, float]:
        speeds = [worker.speed(engine, qubits=qubits, rows=rows, precision=precision) for worker in workers]
        return all(speeds), math.fsum(speeds)

    known = sorted({name for worker in workers for name in AUTO_ENGINES[worker.calibration.device]})
    best = max(known, key=rank, default=None)
    return best if best is not None and rank(best)[1] > 0 else None


def choose_engines(spec: SearchSpec, workers: Sequence[CalibratedWorker]) -> dict[int, str]:
    """Returns the engine of each qubit count of a space: the one that the spec names, or for `auto` the fastest.

    Raises:
        NothingHolds: no engine of the workers holds the widest circuits, or there are no workers.
    """
    counts = sorted(set(choices_of(spec.space.qubits)))
    if spec.engine != "auto":
        return dict.fromkeys(counts, spec.engine)
    if not workers:
        raise NothingHolds(
            f"`engine: auto` waits for a live {spec.device} worker; one that starts for the first time measures its "
            f"engines before, for some seconds. If none is starting, start one: `hqnas worker --device {spec.device}`"
        )
    rows = spec.training.batch_size if spec.has_training else MANY_ROWS
    chosen: dict[int, str] = {}
    for qubits in counts:
        engine = choose_engine(workers, qubits=qubits, rows=rows, precision=spec.precision)
        if engine is None:
            raise NothingHolds(
                f"no live {spec.device} worker has the memory for {qubits} qubits at {spec.precision}; start a larger "
                "one, or one with fewer slots"
            )
        chosen[qubits] = engine
    return chosen


def bundle_sizes(calibrations: Sequence[Calibration]) -> dict[int, int]:
    """Returns the size of a bundle by qubits, where it is above 1 on all of these machines: any of them may take it."""
    if not calibrations:
        return {}
    widest = min(max((point.qubits for point in one.bundles), default=0) for one in calibrations)
    sizes = {q: min(one.bundle_size(q) for one in calibrations) for q in range(1, widest + 1)}
    return {qubits: size for qubits, size in sizes.items() if size > 1}


def _at(curve: list[tuple[int, float]], qubits: int) -> float:
    """Returns log2 of the seconds at a width; the curve is (qubits, log2 seconds), ascending."""
    if qubits <= curve[0][0]:
        return curve[0][1]
    for (low, a), (high, b) in pairwise(curve):
        if qubits <= high:
            return a + (b - a) * (qubits - low) / (high - low)
    last, value = curve[-1]
    slope = 1.0
    if len(curve) > 1:
        before, earlier = curve[-2]
        slope = max(slope, (value - earlier) / (last - before))
    return value + slope * (qubits - last)
