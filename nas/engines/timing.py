"""Measures the engines of a machine: the calibration that `auto` chooses by.

What is timed is one training step, forward and backward in weights and features, of a circuit that searches meet: angle
encoding, three layers of RY, RZ and a ring of CNOT, ⟨Z⟩ of every qubit, complex128. The best of a few repeats is taken:
whatever else the machine does only adds. A ladder of widths ends where a step is slow; beyond, times are extrapolated.

The gain of a bundle is timed on circuits that differ in all genes, as those of a generation do: a bundle of alike ones
would gain several times more.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final

import torch

from nas.calibration import BUNDLED_ENGINE, MANY_ROWS, BundleGain, Calibration, StepTime
from nas.circuits import Circuit, build_circuit
from nas.engines.base import Engine
from nas.engines.catalogue import make_engine
from nas.errors import EngineError
from nas.space import Genome
from nas.space.layout import OBSERVABLES, TOPOLOGIES
from nas.spec.limits import AUTO_ENGINES, ENGINE_QUBITS

Clock = Callable[[], float]  #: seconds that never go back

#: A processor's time counts what this process computes, whatever runs beside it; of a GPU it would count the waiting.
_CLOCKS: Final[dict[str, Clock]] = {"cpu": time.process_time, "gpu": time.perf_counter}

_WIDTHS: Final = range(2, max(ENGINE_QUBITS.values()) + 1, 2)
_LAYERS: Final = 3

#: A step that is expected to take longer is timed with fewer rows, and then ends its ladder.
_LONGEST_S: Final = 0.3
_FEW_ROWS: Final = 8
#: After a first step, which also prepares, a step is repeated for this time and so often, or until it was too long.
_REPEATS_S: Final = 0.02
_FEWEST_REPEATS: Final = 3
_MOST_REPEATS: Final = 7

#: Engines that run the rows of a batch one after the other.
_ROW_BY_ROW: Final = frozenset({"lightning.qubit", "lightning.gpu"})

#: Sizes of bundles that are tried. A smaller gain is not worth that a process that dies loses more work.
_SIZES: Final[dict[str, tuple[int, ...]]] = {"cpu": (4, 16), "gpu": (16, 64)}
_LEAST_GAIN: Final = 1.3
#: Above this, a step is arithmetic, which a bundle does not save.
_LONGEST_ALONE_S: Final[dict[str, float]] = {"cpu": 0.01, "gpu": 0.05}
#: A smaller bundle with this share of the best gain is preferred.
_GOOD_SHARE: Final = 0.9
#: How many circuits larger bundles are made of; they repeat.
_N_MEMBERS: Final = 16


@dataclass(frozen=True, slots=True)
class Hardware:
    """What is measured, as its calibration records it; see `Calibration`."""

    key: str
    device: str
    device_name: str
    n_devices: int
    memory_bytes: int


def _make(name: str, device: str) -> Engine:
    return make_engine(name, "complex128", device)


def calibrate(
    hardware: Hardware, *, make: Callable[[str, str], Engine] = _make, clock: Clock | None = None
) -> Calibration:
    """Returns the calibration of this machine for a class of device, measured in some seconds in the calling process.

    Args:
        hardware: what to record.
        make: makes the engine of a name for a class of device, or raises EngineError where it cannot run.
        clock: to measure with; by default, for a processor the time that this process had, and for a GPU the wall's.
    """
    clock = clock or _CLOCKS[hardware.device]
    started = clock()
    bench = _Bench(hardware.device, clock)
    times: dict[str, list[StepTime]] = {}
    bundles: list[BundleGain] = []
    for name in AUTO_ENGINES[hardware.device]:
        try:
            engine = make(name, hardware.device)
            points = list(bench.ladder(engine))
            if name == BUNDLED_ENGINE:
                bundles = list(bench.gains(engine))
        except EngineError:
            continue  # it cannot run here: not installed, or not on this hardware
        if points:
            times[name] = points
    return Calibration(
        key=hardware.key,
        device=hardware.device,
        device_name=hardware.device_name,
        n_devices=hardware.n_devices,
        memory_bytes=hardware.memory_bytes,
        seconds=clock() - started,
        times=times,
        bundles=bundles,
    )


class _Bench:
    """Times steps on one class of device."""

    def __init__(self, device: str, clock: Clock) -> None:
        self._device = device
        self._clock = clock

    def ladder(self, engine: Engine) -> Iterator[StepTime]:
        """Yields the times of an engine by width, until a step is slow."""
        rows = 1 if engine.name in _ROW_BY_ROW else MANY_ROWS
        found: list[float] = []
        for qubits in _WIDTHS:
            # Two qubits more are four times the amplitudes, or what they were the last time.
            expected_s = found[-1] * max(4.0, found[-1] / found[-2]) if len(found) > 1 else 0.0
            if expected_s * rows / MANY_ROWS > _LONGEST_S:
                rows = min(rows, _FEW_ROWS)
            if expected_s * rows / MANY_ROWS > _LONGEST_S or qubits > ENGINE_QUBITS[engine.name]:
                return
            circuit = _circuit(qubits)
            one_row_s = self._seconds(engine, [circuit], rows=1)
            some_rows_s = one_row_s if rows == 1 else self._seconds(engine, [circuit], rows=rows)
            found.append(some_rows_s * MANY_ROWS / rows)
            yield StepTime(qubits=qubits, one_row_s=one_row_s, many_rows_s=found[-1], is_scaled=rows < MANY_ROWS)

    def gains(self, engine: Engine) -> Iterator[BundleGain]:
        """Yields the size of a bundle that pays best by width, up to the first where none does."""
        for qubits in _WIDTHS:
            members = _mixture(qubits)
            alone_s = [self._seconds(engine, [member], rows=MANY_ROWS) for member in members]
            if sum(alone_s) / len(alone_s) > _LONGEST_ALONE_S[self._device]:
                return
            found = self._gain(engine, members, alone_s)
            yield found
            if found.size == 1:
                return

    def _gain(self, engine: Engine, members: Sequence[Circuit], alone_s: Sequence[float]) -> BundleGain:
        gains = {1: 1.0}
        for size in _SIZES[self._device]:
            together_s = self._seconds(engine, list(islice(cycle(members), size)), rows=MANY_ROWS)
            gains[size] = sum(islice(cycle(alone_s), size)) / together_s
        best = max(gains.values())
        size = min(size for size, gain in gains.items() if gain >= _GOOD_SHARE * best)
        return BundleGain(qubits=members[0].qubits, size=size if best >= _LEAST_GAIN else 1, gain=best)

    def _seconds(self, engine: Engine, circuits: Sequence[Circuit], *, rows: int) -> float:
        """Returns the seconds of a step, the best of some."""
        n_weights, n_features = (max(getattr(c, name) for c in circuits) for name in ("n_weights", "n_features"))
        weights = torch.linspace(0.1, 3.0, len(circuits) * n_weights, dtype=torch.float64)
        features = torch.linspace(-1.0, 1.0, len(circuits) * rows * n_features, dtype=torch.float64)
        weights = weights.view(len(circuits), 1, n_weights).requires_grad_()
        features = features.view(len(circuits), rows, n_features).requires_grad_()

        def step() -> float:
            started = self._clock()
            engine.bundle_expectations(circuits, weights, features).sum().backward()  # type: ignore[no-untyped-call]  # torch
            if self._device == "gpu":
                torch.cuda.synchronize()
            return self._clock() - started

        first = step()
        if first > 2 * _LONGEST_S:
            return first  # what it prepared is the least of it
        found = [step()]
        while sum(found) < _LONGEST_S and len(found) < _MOST_REPEATS:
            if sum(found) > _REPEATS_S and len(found) >= _FEWEST_REPEATS:
                break
            found.append(step())
        return max(min(found), 1e-9)  # a clock may be coarse, and no step takes no time


def _circuit(qubits: int, **genes: Any) -> Circuit:
    """Returns the circuit that is timed, or one with other genes."""
    layers = genes.get("layers", _LAYERS)
    fixed: dict[str, Any] = {
        "layers": layers,
        "encoding": "angle-y",
        "reuploading": False,
        "rotations": [("ry", "rz")] * layers,
        "entangler": ["cnot"] * layers,
        "topology": ["ring"] * layers,
        "observable": "z-all",
    }
    genome = Genome.canonical(qubits=qubits, pre_layers=(), post_layers=(), learning_rate=None, **{**fixed, **genes})
    return build_circuit(genome, qubits)


def _mixture(qubits: int) -> list[Circuit]:
    """Returns circuits that differ as a generation's do, the same at each call."""
    rng = random.Random(qubits)  # noqa: S311  # a choice of what to time
    found = []
    for _ in range(_N_MEMBERS):
        layers = rng.randint(1, 6)
        found.append(
            _circuit(
                qubits,
                layers=layers,
                encoding=rng.choice(("angle-x", "angle-y", "angle-z", "iqp")),
                reuploading=rng.random() < 0.5,
                rotations=[rng.choice((("ry",), ("ry", "rz"), ("rx", "ry", "rz")))] * layers,
                entangler=[rng.choice(("cnot", "cz", "crx", "crz"))] * layers,
                topology=[rng.choice(TOPOLOGIES)] * layers,
                observable=rng.choice(OBSERVABLES),
            )
        )
    return found
